/** Keeps the sums of tasks up to date, beside a tick. */
import { addUp } from "../../d1/cron/sums.ts";
import { type D1Usage, measureDatabase } from "../../platform/d1-usage.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** In one tick: 2,666 tasks a second, and ten million of a former version in an hour. */
const mostChunks = 8;

/**
 * Adds up tasks that have ended, chunk by chunk.
 * @param rows What it reads and writes is added to this: it stands in a line of its own, beside the tick's.
 */
export async function sumUp(invocation: Invocation, rows: D1Usage): Promise<void> {
  const nowMs = invocation.now();
  const db = measureDatabase(
    invocation.db,
    (call) => call(),
    ({ rowsRead, rowsWritten }) => {
      rows.rowsRead += rowsRead;
      rows.rowsWritten += rowsWritten;
    },
  );
  let chunks = 1;
  while ((await addUp(db, nowMs)) && chunks < mostChunks) chunks++;
  const { rowsRead: rows_read, rowsWritten: rows_written } = rows;
  invocation.log({ event: "summed", chunks, ms: invocation.now() - nowMs, rows_read, rows_written });
}
