/** Having archived tasks in D1 again, part by part: the rows that D1 lacks are written there, and the part is none any more. */
import { restorePart } from "../../d1/archive/put-part.ts";
import { listParts } from "../../d1/archive/task-parts.ts";
import { idBound } from "../../domain/ids.ts";
import { toSeconds } from "../../domain/task.ts";
import type { TaskPart } from "../../domain/task-part.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type Actor, auditEntry } from "../tenants/audit-entry.ts";
import { type ReadPart, readPart } from "./read-archived.ts";

export interface Restored {
  /** Rows that their parts had. */
  tasks: number;
  parts: number;
  /** Parts that cannot be read: each is logged, and stays. */
  lost: number;
  /** There are more parts of the period. */
  goesOn: boolean;
}

/** Some thousand rows a call. */
const partsAtOnce = 5;
const mostLost = 20;
/** As long as an accident with D1 may take to be seen: until then D1 may go back to before this, with a part that has its object. */
const keptMs = 86_400_000;

/** Restores a tenant's tasks of a period, newest first, with those that share their parts. */
export async function restoreArchive(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<Restored> {
  const what = {
    action: "archive.restore",
    tenantId,
    subject: tenantId,
    details: { from: toSeconds(fromMs), to: toSeconds(toMs) },
  };
  // Before the first part: a call that is cut off in the middle has its entry too.
  await auditEntry(invocation, by, what).run();
  const done: Restored = { tasks: 0, parts: 0, lost: 0, goesOn: false };
  for (let beforeId = idBound("task", toMs); ; ) {
    const [part] = await listParts(invocation.db, tenantId, beforeId, null, 1);
    if (!part || part.lastId < idBound("task", fromMs)) return done;
    if (done.parts === partsAtOnce || done.lost === mostLost) return { ...done, goesOn: true };
    const read = await unlessLost(invocation, part);
    const { db } = invocation;
    if (read === "lost") done.lost++;
    else if (read && (await restorePart(db, read.part, read.rows, { nowMs: invocation.now(), keptMs }))) {
      done.parts++;
      done.tasks += read.rows.length;
    } else {
      // Another one has changed the part: the next call finds it as it is then.
      return { ...done, goesOn: true };
    }
    beforeId = part.firstId;
  }
}

async function unlessLost(invocation: Invocation, part: TaskPart): Promise<ReadPart | undefined | "lost"> {
  try {
    return await readPart(invocation, part);
  } catch (error) {
    if (error instanceof BindingUnavailable) return "lost";
    throw error;
  }
}
