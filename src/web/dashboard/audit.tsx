/** What must always hold, and whether it does; and who changed what. */
export function Audit() {
  return <h1>Audit</h1>;
}
