/**
 * The one way to end a task: a compare-and-set on its state. Whoever comes second, late or again changes
 * nothing, so every caller may simply try.
 */
import type { Deps } from "../deps.ts";
import { type Ending, endTask } from "../store/tasks.ts";

/** Ends tasks, all in one transaction. */
export async function finish(deps: Pick<Deps, "db" | "now">, endings: Ending[]): Promise<void> {
  if (endings.length === 0) return;
  await deps.db.batch(endings.map((ending) => endTask(deps.db, ending, deps.now())));
}
