/** A tenant's archive since D1 was restored: objects that D1 knows nothing of, and text that was erased and is back. */

import type { Invocation } from "../../platform/invocation.ts";
import { findArchivedAgain } from "../archive/brought-back.ts";
import { dropOrphans } from "../archive/orphans.ts";
import { eraseEndUser, eraseTask } from "../erasure/erase.ts";
import type { RestoreNote } from "../erasure/restore-notes.ts";
import { type Discrepancy, nameBack } from "./discrepancy.ts";

/** Has orphans of a tenant's archive go, and names those that are the last that there is of some tasks. */
export async function checkOrphans(invocation: Invocation, tenant: string): Promise<Discrepancy[]> {
  const kept = await dropOrphans(invocation, tenant);
  const text = "an object of the archive has tasks that the database has lost";
  return kept.map((subject) => ({ kind: "task", tenant, subject, text }));
}

/** Names what is back in a tenant's archive of what was noted, and has it erased again. */
export async function checkArchived(
  invocation: Invocation,
  tenant: string,
  notes: RestoreNote[],
  mends: boolean,
): Promise<Discrepancy[]> {
  const { tasks, users } = await findArchivedAgain(invocation, tenant, notes);
  if (mends) {
    for (const id of tasks) await eraseTask(invocation, tenant, { id, state: "completed", erased: false });
    for (const [name, atMs] of users) await eraseEndUser(invocation, tenant, name, atMs);
  }
  return [...tasks, ...[...users].map(() => null)].map((subject) =>
    nameBack(mends, "erased", tenant, subject),
  );
}
