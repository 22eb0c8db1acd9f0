/**
 * What a Worker of the version before asks of the object, while a deployment runs both. It takes the row to be in D1 once
 * `begin` returns: it records in D1 that the upstream has refused the task, or has no room for it.
 */
import type { Outbox } from "./outbox.ts";

/** What D1 took to write, which is counted no more. */
export const noCost = { rowsRead: 0, rowsWritten: 0, ms: 0 };

/** Writes a task's row. @returns it as that Worker wants it. @throws when D1 is unavailable. */
export async function writeAtOnce(outbox: Outbox, holdNumber: number, dueMs: number): Promise<object> {
  await outbox.write(holdNumber);
  return { written: { state: "submitting", dueMs, attempts: 1 }, cost: noCost };
}
