/** Deliveries in every state. Those of tasks that ended have been attempted by the ticks before. */
import type { Story } from "./story.ts";

/** Attempts of which the last one was the last. */
const mostAttempts = 10;

/** One that was given up: what the tenth failed attempt writes, four days after the first. */
export async function giveUpOne({ stand }: Story): Promise<void> {
  const [last] = await stand.sql(
    "SELECT id FROM deliveries WHERE tenant_id = 'shop' AND state = 'pending' ORDER BY id",
  );
  if (!last) throw new Error("nothing waits for the broken receiver");
  await stand.sql(
    "UPDATE deliveries SET state = 'failed', open = 0, attempts = ?2, last_ms = ?3 WHERE id = ?1",
    last.id,
    mostAttempts,
    Date.now(),
  );
}

/** One whose receiver does not answer, while its sender waits. */
export async function sendOne({ stand, task, until }: Story): Promise<void> {
  stand.receivers.set("https://hooks.example", "hangs");
  const id = `msg-${task("completed").slice("task-".length)}-c`;
  await stand.admin("POST", `/webhooks/${id}/retry`);
  await until(`SELECT id FROM deliveries WHERE id = '${id}' AND state = 'sending'`);
}
