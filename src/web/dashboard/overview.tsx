/** How the business is, at a glance. */
export function Overview() {
  return <h1>Overview</h1>;
}
