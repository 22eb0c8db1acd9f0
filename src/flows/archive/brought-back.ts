/**
 * Archived text that was erased and is back, since D1 was restored to a time when a part's former object, with that text, was
 * still the part. It takes a read of each part that a note may mean, so it is for when D1 may have been restored.
 */
import { archivedOf, partsFrom, partsToErase, selectPartOf } from "../../d1/archive/task-parts.ts";
import type { ArchivedRow, TaskPart } from "../../domain/task-part.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type RestoreNote, tagInNote, userInNote } from "../erasure/restore-notes.ts";
import { currentRows } from "./read-archived.ts";

export interface ArchivedAgain {
  /** Ids of tasks. */
  tasks: string[];
  /** End users, and up to when their tasks were erased. */
  users: Map<string, number>;
}

/** Finds what is back in a tenant's archive of what notes say was erased. */
export async function findArchivedAgain(
  invocation: Invocation,
  tenantId: string,
  notes: RestoreNote[],
): Promise<ArchivedAgain> {
  const found: ArchivedAgain = { tasks: [], users: new Map() };
  const ids = notes.map(({ what }) => what).filter((what) => what.startsWith("task-"));
  for (let rest = await archivedOf(invocation.db, tenantId, ids); rest[0] !== undefined; ) {
    const [first] = rest;
    const [part] = partsFrom(await selectPartOf(invocation.db, tenantId, first).all());
    const inPart = new Set(
      rest.filter((id) => id === first || (part && id >= part.firstId && id <= part.lastId)),
    );
    rest = rest.filter((id) => !inPart.has(id));
    const rows = part ? await rowsUnlessLost(invocation, part) : [];
    found.tasks.push(
      ...rows.flatMap(({ id, erasure }) => (inPart.has(id) && erasure === "none" ? [id] : [])),
    );
  }
  for (const note of notes) await findUser(invocation, tenantId, note, found.users);
  return found;
}

async function findUser(
  invocation: Invocation,
  tenantId: string,
  { what, atMs }: RestoreNote,
  users: Map<string, number>,
): Promise<void> {
  const endUserTag = tagInNote(what);
  if (endUserTag === undefined) return;
  for (let afterId = ""; ; ) {
    const [next] = await partsToErase(invocation.db, tenantId, { endUserTag }, afterId, 1);
    if (!next) return;
    afterId = next.at;
    for (const { end_user: name, created_ms: createdMs } of await rowsUnlessLost(invocation, next.part)) {
      if (typeof name !== "string" || Number(createdMs) > atMs || users.has(name)) continue;
      if ((await userInNote(tenantId, name)) === what) users.set(name, atMs);
    }
  }
}

async function rowsUnlessLost(invocation: Invocation, part: TaskPart): Promise<ArchivedRow[]> {
  try {
    return (await currentRows(invocation, part)) ?? [];
  } catch (error) {
    if (error instanceof BindingUnavailable) return [];
    throw error;
  }
}
