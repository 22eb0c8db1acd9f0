/**
 * Writing a part of the archive: a new object each time, since what a part was may be read or erased meanwhile.
 *
 *   the writer                             what is found where it dies
 *   1. notes the new key as a leftover
 *   2. puts the object, reads it back      the leftover is swept an hour later
 *   3. in one transaction: makes it the    the part, and nothing of the rows and the object that it was made of; or, where
 *      part, deletes the rows that it was  one of these has changed, nothing: the rows stay, and the object is swept
 *      made of, notes the part's former
 *      object as a leftover
 *
 * A row that is erased while it is archived has changed, and is archived by the next one, without its text. Of two that write
 * one part anew, one finds it changed.
 */
import { insertLeftover, writerMs } from "../../d1/archive/leftovers.ts";
import { putPart, type Replaced } from "../../d1/archive/put-part.ts";
import { base32, earlier, randomBytesFor } from "../../domain/ids.ts";
import { type ArchivedRow, keyEnd, keyPrefix, partBytes, partOf } from "../../domain/task-part.ts";
import { BindingUnavailable, callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** @returns false when something has changed meanwhile, and nothing was written. @throws BindingUnavailable */
export async function writePart(
  invocation: Invocation,
  tenantId: string,
  rows: ArchivedRow[],
  replaced: Replaced,
): Promise<boolean> {
  const lastId = rows.reduce((last, { id }) => (earlier(last, id) === last ? id : last), "");
  const key = keyPrefix(tenantId, lastId) + base32(invocation.randomBytes(randomBytesFor("file"))) + keyEnd;
  const part = await partOf(tenantId, key, rows);
  const bytes = await partBytes(rows);
  await insertLeftover(invocation.db, key, invocation.now() + writerMs);
  const written = await invocation.bucket.put(key, bytes);
  const stored = await callBinding("storage", async () => (await invocation.bucket.get(key))?.arrayBuffer());
  if (!written || !stored || !isSame(stored, bytes))
    throw new BindingUnavailable("storage: a part of the archive is not what was put");
  return putPart(invocation.db, part, replaced, invocation.now());
}

function isSame(a: ArrayBuffer, b: ArrayBuffer): boolean {
  const [left, right] = [new Uint8Array(a), new Uint8Array(b)];
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}
