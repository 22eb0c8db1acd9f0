/**
 * What D1 has brought back since it was restored to an earlier time: text that was erased, keys that were revoked, a tenant
 * that was deleted. There are notes of them outside D1, and one right answer: it is done again.
 */
import { broughtBack, endUsers } from "../../d1/erasure/brought-back.ts";
import { idBound } from "../../domain/ids.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { dropTenant, eraseEndUser, eraseTask } from "../erasure/erase.ts";
import { readNotes, userInNote } from "../erasure/restore-notes.ts";
import { dropKey } from "../tenants/tenant-keys.ts";
import type { Discrepancy } from "./discrepancy.ts";

/**
 * @param beforeMs What is younger may be under way.
 * @param withUsers Also end users, of whom all that the tenant has are read.
 */
export async function checkRestored(
  invocation: Invocation,
  tenant: string,
  beforeMs: number,
  { mends, withUsers }: { mends: boolean; withUsers: boolean },
): Promise<Discrepancy[]> {
  const { db } = invocation;
  const by = { actor: "admin", requestId: invocation.newId("request") };
  const found: Discrepancy[] = [];
  const noted = new Map<string, number>();
  /** Names those that are back, and does what was done to them again. */
  const redo = (was: string, subjects: (string | null)[], again: (subject: string) => Promise<unknown>) =>
    inParallel(
      subjects,
      async (subject) => {
        const kind = was === "erased" ? "erasure" : "settings";
        found.push({
          kind,
          tenant,
          subject,
          text: `was ${was}, and is back${mends ? `: ${was} again` : ""}`,
        });
        if (mends) await again(subject ?? "");
      },
      { concurrency: connections },
    );
  for await (const page of readNotes(invocation, tenant, mends)) {
    const notes = page.filter(({ atMs }) => atMs < beforeMs);
    for (const { what, atMs } of notes) noted.set(what, atMs);
    const { tasks, keys } = await broughtBack(
      db,
      tenant,
      notes.map(({ what }) => what),
    );
    await redo("erased", tasks, (id) =>
      eraseTask(invocation, tenant, { id, state: "completed", erased: false }),
    );
    await redo("revoked", keys, (id) => dropKey(invocation, by, tenant, id));
  }
  const users = withUsers && [...noted.keys()].some((what) => what.startsWith("user-"));
  for (const { name, oldest } of users ? await endUsers(db, tenant) : []) {
    const atMs = noted.get(await userInNote(tenant, name)) ?? 0;
    if (oldest < idBound("task", atMs))
      await redo("erased", [null], () => eraseEndUser(invocation, tenant, name, atMs));
  }
  // Refused while its tasks run: the next turn tries it again.
  if (noted.has("tenant")) await redo("deleted", [null], () => dropTenant(invocation, by, tenant));
  return found;
}
