/** Having archived tasks in D1 again, part by part: the rows that D1 lacks are written there, and the part is none any more. */
import { listParts, restorePart } from "../../d1/archive/task-parts.ts";
import { idBound } from "../../domain/ids.ts";
import { toSeconds } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type Actor, auditEntry } from "../tenants/audit-entry.ts";
import { rowsOf } from "./read-archived.ts";

export interface Restored {
  tasks: number;
  parts: number;
  /** There are more parts of the period. */
  goesOn: boolean;
}

/** Some thousand rows a call. */
const partsAtOnce = 5;

/** Restores a tenant's tasks of a period, newest first, with those that share their parts. @throws BindingUnavailable */
export async function restoreArchive(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<Restored> {
  const found = await listParts(invocation.db, tenantId, idBound("task", toMs), null, partsAtOnce + 1);
  const what = {
    action: "archive.restore",
    tenantId,
    subject: tenantId,
    details: { from: toSeconds(fromMs), to: toSeconds(toMs) },
  };
  // Before the first part: a call that is cut off in the middle has its entry too.
  await auditEntry(invocation, by, what).run();
  const asked = found.filter(({ lastId }) => lastId >= idBound("task", fromMs));
  const done: Restored = { tasks: 0, parts: 0, goesOn: asked.length > partsAtOnce };
  for (const part of asked.slice(0, partsAtOnce)) {
    const rows = await rowsOf(invocation, part);
    // Another one has changed the part: the next call finds it as it is then.
    if (!rows || !(await restorePart(invocation.db, part, rows, invocation.now()))) {
      return { ...done, goesOn: true };
    }
    done.parts++;
    done.tasks += rows.length;
  }
  return done;
}
