/**
 * Notes, in R2, of what a database that is restored to an earlier time must not bring back: erased tasks and end users,
 * revoked keys, deleted tenants. A note is an empty object, and all that it says is its key. It is kept for as long as D1 can
 * be restored to a time before it.
 */
import { sha256Hex } from "../../domain/signing.ts";
import { endUserTag } from "../../domain/task-part.ts";
import type { Invocation } from "../../platform/invocation.ts";

export interface RestoreNote {
  /** When it was erased, revoked or deleted. */
  atMs: number;
  /** The id of a task or a key, `user-` and a hash and their tag in the archive, or `tenant`. */
  what: string;
}

/** D1 goes back thirty days. */
const keptMs = 35 * 86_400_000;
const prefix = (tenantId: string) => `restore-notes/${tenantId}/`;

/** Names an end user of a tenant in a note: a hash, since the name itself is to be erased. */
export const userInNote = async (tenantId: string, endUser: string) =>
  `user-${await sha256Hex(`${tenantId} ${endUser}`)}${await endUserTag(endUser)}`;

/** Whom a note is about: notes of earlier versions have no tag. */
export const userOfNote = (what: string): string => what.split(",")[0] ?? "";

/** By what an end user's note finds parts of the archive; undefined for other notes, and those of earlier versions. */
export const tagInNote = (what: string): string | undefined => /^user-[^,]*(,.+)$/.exec(what)?.[1];

/** Writes a note; before what it is about, where that can no longer be refused. @throws BindingUnavailable */
export async function noteForRestore(
  { bucket, now }: Pick<Invocation, "bucket" | "now">,
  tenantId: string,
  what: string,
  atMs = now(),
): Promise<void> {
  const key = `${prefix(tenantId)}${new Date(atMs).toISOString()}/${what}`;
  await bucket.put(key, new Uint8Array());
}

/** No tenant's id: what is noted there is the ids of tenants that were made. */
const made = "_made";

/** Notes that a tenant was made: a database from before knows nothing of it, and its object goes on. */
export function noteTenantMade(invocation: Pick<Invocation, "bucket" | "now">, id: string): Promise<void> {
  return noteForRestore(invocation, made, id);
}

/** Ids of tenants that were made lately. @param deletesOld As of {@link readNotes}. */
export async function tenantsMade(
  invocation: Pick<Invocation, "bucket" | "now">,
  deletesOld: boolean,
): Promise<string[]> {
  const ids: string[] = [];
  for await (const page of readNotes(invocation, made, deletesOld)) ids.push(...page.map(({ what }) => what));
  return ids;
}

/**
 * Reads a tenant's notes, a thousand at a time, oldest first.
 * @param deletesOld Deletes those that are of no use any more.
 * @param sinceMs Leaves out those of before.
 */
export async function* readNotes(
  { bucket, now }: Pick<Invocation, "bucket" | "now">,
  tenantId: string,
  deletesOld: boolean,
  sinceMs = 0,
): AsyncGenerator<RestoreNote[]> {
  let cursor: string | undefined;
  do {
    const page = await bucket.list({
      prefix: prefix(tenantId),
      startAfter: prefix(tenantId) + new Date(sinceMs).toISOString(),
      ...(cursor !== undefined && { cursor }),
    });
    const notes = page.objects.map(({ key }) => {
      const [time = "", what = ""] = key.slice(prefix(tenantId).length).split("/");
      return { key, atMs: Date.parse(time), what };
    });
    const old = notes.filter(({ atMs }) => atMs < now() - keptMs).map(({ key }) => key);
    if (deletesOld && old.length > 0) await bucket.delete(old);
    yield notes.slice(old.length);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
}
