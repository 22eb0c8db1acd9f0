/**
 * Objects of the archive that D1 knows nothing of, as after it was restored to a time before they were put. D1 has their tasks
 * then, and erases them where they are: what an orphan says of them would stay for good.
 *
 *   before                                 after D1 was restored to before 1
 *   1. a part is put; D1's rows go         rows are back, and are archived again; the first object is an orphan
 *   1. a part is written anew              D1 names the former object. It is there: the new one is an orphan; it was
 *                                          swept: the new one is the part from now on (`readPart`)
 */
import { dropObjects, unknownKeys } from "../../d1/archive/leftovers.ts";
import { lostOf, partsFrom, selectPartOf } from "../../d1/archive/task-parts.ts";
import { ofKey, readTaskPart } from "../../domain/task-part.ts";
import { callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { readPart } from "./read-archived.ts";

/** What is younger may be a writer's at work. */
const youngMs = 2 * 3_600_000;
/** Each takes some calls of D1, of which an event has a thousand; the others come next time. */
const mostJudged = 20;

/**
 * Has a tenant's orphans go.
 * @returns keys of those that stay: D1 lacks some of their tasks, so they are the last that there is of these.
 */
export async function dropOrphans(invocation: Invocation, tenantId: string): Promise<string[]> {
  const kept: string[] = [];
  let judged = 0;
  const prefix = `archive/${tenantId}/`;
  let cursor: string | undefined;
  do {
    const page = await invocation.bucket.list({ prefix, ...(cursor !== undefined && { cursor }) });
    const old = page.objects.filter(({ uploaded }) => uploaded.getTime() < invocation.now() - youngMs);
    for (const key of await unknownKeys(
      invocation.db,
      tenantId,
      old.map((object) => object.key),
    )) {
      if (judged++ === mostJudged) return kept;
      const outcome = await judge(invocation, tenantId, key);
      if (outcome === "orphan") await dropObjects(invocation.db, [key]);
      if (outcome === "last") kept.push(key);
    }
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return kept;
}

async function judge(
  invocation: Invocation,
  tenantId: string,
  key: string,
): Promise<"orphan" | "part" | "last"> {
  const { db } = invocation;
  const { lastId } = ofKey(key);
  const [part] = partsFrom(await selectPartOf(db, tenantId, lastId).all());
  if (part && part.lastId === lastId) {
    const read = await readPart(invocation, part);
    if (read?.part.key === key) return "part";
  }
  const bytes = await callBinding("storage", async () => (await invocation.bucket.get(key))?.arrayBuffer());
  const rows = bytes && (await readTaskPart(bytes));
  if (!rows) return bytes ? "last" : "orphan";
  const ids = rows.map(({ id }) => id);
  return (await lostOf(db, tenantId, ids)).size === 0 ? "orphan" : "last";
}
