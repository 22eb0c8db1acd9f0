/**
 * Moving tasks that have ended long ago out of D1 into R2, tenant by tenant, in parts. A tenant's parts do not overlap: a
 * task that comes late, as one that D1 has again after a restore, goes into the part that it belongs to.
 */
import {
  nextPartId,
  oldestCandidate,
  readCandidates,
  setArchiveDue,
  tenantsToArchive,
} from "../../d1/archive/due-for-archive.ts";
import { deleteLeftovers, dueLeftovers, partsFrom, selectPartOf } from "../../d1/archive/task-parts.ts";
import { earlier, idBound, idTimeMs } from "../../domain/ids.ts";
import { type ArchivedRow, longestPartMs, partWaitsMs, type TaskPart } from "../../domain/task-part.ts";
import { callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { currentRows } from "./read-archived.ts";
import { writePart } from "./write-part.ts";

const dayMs = 86_400_000;
/** From one turn of a tenant to its next. */
const turnMs = dayMs / 4;
const againMs = 600_000;
/** Of one tick, each in some ten calls to D1 and R2. */
const tenantsATick = 20;
const partsATick = 30;
const leftoversATick = 1_000;

/** Archives some of what is due of the tenants that have waited longest, and sweeps what writers have left behind. */
export async function archiveSome(invocation: Invocation): Promise<void> {
  await sweep(invocation);
  if (invocation.config.ARCHIVE_TASKS_AFTER_DAYS === 0) return;
  let written = 0;
  for (const tenant of await tenantsToArchive(invocation.db, invocation.now(), tenantsATick)) {
    if (written >= partsATick) break;
    written += await archiveTenant(invocation, tenant, partsATick - written);
  }
  if (written > 0) invocation.log({ event: "archived", parts: written });
}

/** Archives what is due of a tenant, in `most` parts at the most. @returns how many it wrote. */
export async function archiveTenant(invocation: Invocation, tenant: string, most: number): Promise<number> {
  const { db, config } = invocation;
  const afterMs = config.ARCHIVE_TASKS_AFTER_DAYS * dayMs;
  let written = 0;
  try {
    while (written < most && (await archivePart(invocation, tenant, afterMs))) written++;
    // One of which more is due comes again with the next tick.
    if (written < most) await setArchiveDue(db, tenant, invocation.now() + turnMs);
  } catch (error) {
    // The other tenants are archived all the same.
    invocation.log({ event: "not_archived", level: "error", tenant, problem: describe(error) });
    await setArchiveDue(db, tenant, invocation.now() + againMs);
  }
  return written;
}

/** Writes one part. @param afterMs The age from which on a task is archived. @returns false when nothing more is due. */
async function archivePart(invocation: Invocation, tenantId: string, afterMs: number): Promise<boolean> {
  const { db } = invocation;
  const beforeMs = invocation.now() - afterMs;
  const before = idBound("task", beforeMs);
  const first = await oldestCandidate(db, tenantId, before, []);
  if (first === undefined) return false;
  // D1 has ended them, and their object has not: it would write them to D1 again.
  const besides = await invocation.tenant(tenantId).openBefore(beforeMs);
  const oldest = besides.includes(first) ? await oldestCandidate(db, tenantId, before, besides) : first;
  if (oldest === undefined) return false;
  const [own] = partsFrom(await selectPartOf(db, tenantId, oldest).all());
  if (own) return addTo(invocation, own, { fromId: oldest, beforeId: `${own.lastId}~`, besides });
  const next = await nextPartId(db, tenantId, oldest);
  const longest = idBound("task", (idTimeMs("task", oldest) ?? 0) + longestPartMs);
  const beforeId = earlier(earlier(before, longest), next ?? before);
  const { rows, isFull } = await readCandidates(db, tenantId, { fromId: oldest, beforeId, besides });
  const isWaiting = !isFull && beforeId === before && oldest >= idBound("task", beforeMs - partWaitsMs);
  return !isWaiting && writePart(invocation, tenantId, rows, { part: undefined, rows });
}

/** Writes a part anew, with tasks that lie between its own. */
async function addTo(
  invocation: Invocation,
  part: TaskPart,
  range: Parameters<typeof readCandidates>[2],
): Promise<boolean> {
  const { rows } = await readCandidates(invocation.db, part.tenantId, range);
  const before = (await currentRows(invocation, part)) ?? [];
  // What D1 has is the newer one.
  const all = new Map<string, ArchivedRow>([...before, ...rows].map((row) => [row.id, row]));
  return writePart(invocation, part.tenantId, [...all.values()], { part, rows });
}

/** Deletes objects that no part is any more, or never was. */
async function sweep(invocation: Invocation): Promise<void> {
  const keys = await dueLeftovers(invocation.db, invocation.now(), leftoversATick);
  if (keys.length === 0) return;
  await callBinding("storage", () => invocation.bucket.delete(keys));
  await deleteLeftovers(invocation.db, keys);
}
