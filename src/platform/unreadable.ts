/** The log line of stored data that cannot be read. */
import type { SkipUnreadable, StoredDataUnreadable } from "../domain/stored.ts";
import type { Invocation } from "./invocation.ts";

/** Says where the data is and what belongs there; never what is there. */
export function logUnreadable(
  { log }: Pick<Invocation, "log">,
  problem: Pick<StoredDataUnreadable, "place" | "expected">,
): void {
  const { table, field, id } = problem.place;
  log({ event: "stored_data_unreadable", level: "error", table, field, id, expected: problem.expected });
}

/** Logs a row that a sweep leaves out. */
export function skipUnreadable(invocation: Pick<Invocation, "log">): SkipUnreadable {
  return (problem) => logUnreadable(invocation, problem);
}
