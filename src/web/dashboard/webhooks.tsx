/** What was told to whom, and what did not arrive. */
export function Webhooks() {
  return <h1>Webhooks</h1>;
}
