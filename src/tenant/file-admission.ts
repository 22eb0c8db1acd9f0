/**
 * Uploads in a tenant's object: each is held before its body is read, with the most that it can be, and corrected to what
 * it was once it has been read. Every row has an end of its own, at which it stops counting by itself:
 *
 *   the Worker dies after              what ends it
 *   1. admitFile: a hold               its own end, a quarter of an hour later; it was none of the day's files
 *   2. keepFile: the file's own bytes  the file's end, which the object knows as well as D1 and R2 do
 *
 * so the object needs no call when files expire, and what is stored is never more than what is counted.
 */

import { type Caller, checkAccess, type KeyRefusal } from "../domain/access.ts";
import {
  checkRequestLimit,
  dateOf,
  type LimitRefusal,
  lifelongCounters,
  type PolicyState,
} from "../domain/admission.ts";
import { checkFileLimits, type FileCounters, withoutFile } from "../domain/file-limits.ts";
import { usableOf } from "../domain/limit-parts.ts";
import { bit, orNull, readable, rowCodec, text, whole } from "../domain/stored.ts";
import { filesPerTokenImage, maxUploadBytes } from "../domain/uploads.ts";
import { readAdmissionRows } from "./admission-rows.ts";
import {
  checkScopes,
  type FileOwner,
  keepScopes,
  policiesFor,
  readAdmissionContext,
} from "./counted-scopes.ts";
import { readFileCounters, writeFileCounters } from "./scopes.ts";
import { writeState } from "./tenant-state.ts";
import { returnTokenFile, type TokenUse } from "./token-use.ts";

export interface FileRequest {
  caller: Caller;
  fileId: string;
  /** As the request declares it; null when it does not. */
  bytes: number | null;
  /** False for a file that is part of a request which is counted as such. */
  isRequest: boolean;
  /** The Worker's clock, unix milliseconds. */
  nowMs: number;
}

export type FileDecision =
  | { kind: "key_refused"; refusal: KeyRefusal }
  | (FileRefused & { policies: PolicyState[] })
  /** `heldBytes`: so long the body may be. */
  | { kind: "admitted"; heldBytes: number; policies: PolicyState[] };

export type FileRefused =
  | ({ kind: "limited" } & LimitRefusal)
  /** More bytes than the whole limit, which no waiting helps. */
  | { kind: "too_large"; most: number }
  /** Of a token: as many files as its images could ever need. */
  | { kind: "token_spent"; most: number };

/** Longer than any upload takes. */
const holdMs = 15 * 60_000;

/** Decides on one upload, and counts and holds it when it is admitted; a refusal consumes nothing. */
export function admitFile(sql: SqlStorage, request: FileRequest): FileDecision {
  const { caller, fileId, isRequest, nowMs } = request;
  const { settings, key, state } = readAdmissionRows(sql, caller.keyId);
  if (!settings || !key) return { kind: "key_refused", refusal: "invalid_key" };
  const refusal = checkAccess(caller, key, settings, { action: "upload" }, nowMs);
  if (refusal) return { kind: "key_refused", refusal };

  dropEnded(sql, nowMs);
  const context = readAdmissionContext(sql, request, { settings, key, state });
  const { own, isVisitor, used } = context;
  const policies = policiesFor(request, context);
  const whole = Math.min(
    usableOf(settings.limits.file_bytes, isVisitor),
    ...own.map(({ limits }) => limits.file_bytes ?? Number.POSITIVE_INFINITY),
  );
  const bytes = request.bytes ?? Math.min(maxUploadBytes, whole);
  // What is longer is refused for that, once it has been counted as a request.
  const heldBytes = Math.min(bytes, maxUploadBytes);
  if (heldBytes > whole) return { kind: "too_large", most: whole, policies };
  const { token } = caller;
  const mostFiles = filesPerTokenImage * (token?.maxImages ?? 0);
  if (used && used.files >= mostFiles) return { kind: "token_spent", most: mostFiles, policies };

  const checkFile = (owner: FileOwner, limits: FileLimits, keepsReserve: boolean) =>
    checkFileLimits(filesOf(sql, owner, used), limits, heldBytes, nowMs, keepsReserve, (over) =>
      freeAfter(sql, owner, over, nowMs),
    );
  const checks = checkScopes(context, ({ counters, limits, filesOf: owner }, keepsReserve) => {
    const asked = isRequest
      ? checkRequestLimit(counters, limits, nowMs, keepsReserve)
      : { refusals: [], after: counters };
    const refusals = owner ? checkFile(owner, limits, keepsReserve).refusals : [];
    return { refusals: [...asked.refusals, ...refusals], after: asked.after };
  });
  if (checks.limited) return { kind: "limited", ...checks.limited, policies };

  const after = { ...state, counters: checks.shared.after };
  writeState(sql, after);
  const now = keepScopes(context, checks.own, { images: 0, files: 1 }, after);
  // Of a key without limits of its own as well: it may be given some while its files are alive.
  for (const keyId of [null, key.id])
    writeFileCounters(sql, keyId, checkFile(keyId === null ? {} : { keyId }, noLimits, false).after);
  sql.exec(
    "INSERT INTO files (id, key_id, token_id, bytes, date, uploaded, ends_ms) VALUES (?, ?, ?, ?, ?, 0, ?)",
    fileId,
    key.id,
    token?.id ?? null,
    heldBytes,
    dateOf(nowMs),
    nowMs + holdMs,
  );
  return { kind: "admitted", heldBytes, policies: policiesFor(request, now) };
}

type FileLimits = Parameters<typeof checkFileLimits>[1];
const noLimits: FileLimits = { files_per_day: null, file_bytes: null };

/** What has been used, of the tenant, of a key, or of a token for its life. */
function filesOf(sql: SqlStorage, owner: FileOwner, used: TokenUse | null): FileCounters {
  const { keyId = null, tokenId } = owner;
  if (tokenId === undefined) return readFileCounters(sql, keyId);
  return { date: lifelongCounters.day.date, files: used?.files ?? 0, bytes: bytesOf(sql, owner) };
}

/** An upload or file that counts. */
interface CountedFile {
  keyId: string;
  tokenId: string | null;
  bytes: number;
  date: string;
  /** False while the upload is under way. */
  uploaded: boolean;
}

const counted = rowCodec<CountedFile>("files", {
  keyId: ["key_id", text],
  tokenId: ["token_id", orNull(text)],
  bytes: ["bytes", whole],
  date: ["date", text],
  uploaded: ["uploaded", bit],
});

/**
 * Makes a hold the file's own: its bytes, and its end.
 * @returns false when the hold has ended, so that nothing may be stored.
 */
export function keepFile(
  sql: SqlStorage,
  id: string,
  file: { bytes: number; expiresMs: number },
  nowMs: number,
): boolean {
  dropEnded(sql, nowMs);
  const [row] = sql.exec("SELECT * FROM files WHERE id = ? AND uploaded = 0", id).toArray();
  const held = row && counted.read(row);
  if (!held || file.bytes > held.bytes) return false;
  sql.exec(
    "UPDATE files SET bytes = ?, uploaded = 1, ends_ms = ? WHERE id = ?",
    file.bytes,
    file.expiresMs,
    id,
  );
  takeOut(sql, { ...held, bytes: held.bytes - file.bytes, uploaded: true });
  return true;
}

/**
 * Stops counting a file that was deleted, or an upload that came to nothing; once.
 * @param isUnused Whether it was kept for a request that came to nothing, so that it was none of the day's files either.
 */
export function dropFile(sql: SqlStorage, id: string, isUnused = false): void {
  takeOutAll(sql, sql.exec("DELETE FROM files WHERE id = ? RETURNING *", id).toArray(), isUnused);
}

/** Stops counting what has come to its end. @param most Rows; absent: all of them. */
export function dropEnded(sql: SqlStorage, nowMs: number, most = -1): void {
  const ended = "SELECT id FROM files WHERE ends_ms <= ? LIMIT ?";
  takeOutAll(sql, sql.exec(`DELETE FROM files WHERE id IN (${ended}) RETURNING *`, nowMs, most).toArray());
}

/** Of a row that cannot be read it is not known what it counted for: the bytes are those of the rows that are left. */
function takeOutAll(sql: SqlStorage, gone: Record<string, SqlStorageValue>[], isUnused = false): void {
  for (const row of gone) {
    const [file] = readable([row], counted.read, () => recountBytes(sql, String(row.key_id)));
    // An upload of a page's visitor is one of the day's files, also where it came to nothing.
    if (file) takeOut(sql, { ...file, uploaded: !isUnused && (file.uploaded || file.tokenId !== null) });
    if (isUnused && file?.tokenId) returnTokenFile(sql, file.tokenId);
  }
}

function recountBytes(sql: SqlStorage, keyId: string): void {
  for (const owner of [null, keyId])
    writeFileCounters(sql, owner, {
      ...readFileCounters(sql, owner),
      bytes: bytesOf(sql, owner === null ? {} : { keyId: owner }),
    });
}

function takeOut(sql: SqlStorage, { keyId, ...gone }: CountedFile): void {
  for (const owner of [null, keyId])
    writeFileCounters(sql, owner, withoutFile(readFileCounters(sql, owner), gone));
}

/** SQL: the files of an owner, who is its first parameter. A token's are found by their index. */
function ownedBy({ keyId = null, tokenId = null }: FileOwner): [condition: string, owner: string | null] {
  return tokenId === null ? ["?1 IS NULL OR key_id = ?1", keyId] : ["token_id = ?1", tokenId];
}

function bytesOf(sql: SqlStorage, owner: FileOwner): number {
  const [isOwned, id] = ownedBy(owner);
  return Number(
    sql.exec(`SELECT coalesce(sum(bytes), 0) AS bytes FROM files WHERE ${isOwned}`, id).one().bytes,
  );
}

/** In how many milliseconds so many bytes will have come to their end. */
function freeAfter(sql: SqlStorage, owner: FileOwner, bytes: number, nowMs: number): number {
  const [isOwned, id] = ownedBy(owner);
  const [row] = sql
    .exec<{ ends_ms: number }>(
      `SELECT ends_ms FROM (
         SELECT ends_ms, sum(bytes) OVER (ORDER BY ends_ms, id) AS freed FROM files WHERE ${isOwned})
       WHERE freed >= ?2 ORDER BY ends_ms LIMIT 1`,
      id,
      bytes,
    )
    .toArray();
  return Math.max(1, (row?.ends_ms ?? nowMs) - nowMs);
}
