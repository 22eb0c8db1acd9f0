/** One tenant: what it is set to, its keys, its money, what it makes. */
export function Tenant({ id }: { id: string }) {
  return <h1>{id}</h1>;
}
