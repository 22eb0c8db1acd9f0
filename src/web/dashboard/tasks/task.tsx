/** One task and its life. */
export function Task({ id }: { id: string }) {
  return <h1>{id}</h1>;
}
