/**
 * Requests that come twice. With an `Idempotency-Key` the same key means the same task for 24 hours. Without
 * one, an SDK that retries says so (`X-Stainless-Retry-Count`), and its retry gets the task that its first attempt
 * made:
 *
 *   attempt 1 of A: made task 1, its reply is lost    attempt 1 of B, the same body: made task 2, its reply is lost
 *   attempt 2 of A: gets task 2, which is marked      attempt 2 of B: gets task 1, since task 2 is taken
 *
 * Which of two equal requests gets which of two equal tasks does not matter; that neither makes a third does.
 */

import type { Caller } from "../domain/access.ts";
import { idempotencyLifeMs, retryLifeMs } from "../domain/replay-life.ts";
import { type EarlierRequest, findReplays, findRetriedBodies, markAnswered } from "./earlier-requests.ts";

export type Replay = {
  /** Hash of the body as it was parsed. */
  fingerprint: string;
  /** How often the client says that it has attempted before. */
  retries: number;
} & (
  | {
      /** The caller sent an idempotency key. */
      by: "key";
      /** The key of the search: it names the caller's key or token as well. */
      value: string;
    }
  /** The body itself, of a secret key's request. */
  | { by: "body" }
);

export type ReplayFound =
  | { kind: "new" }
  | { kind: "again"; request: EarlierRequest }
  /** The same idempotency key came with another body. */
  | { kind: "other_body" };

export function findReplay(
  sql: SqlStorage,
  { replay, caller: { keyId }, nowMs }: { replay: Replay | null; caller: Caller; nowMs: number },
): ReplayFound {
  if (replay === null) return { kind: "new" };
  if (replay.by === "key") {
    const [request] = findReplays(sql, replay.value, nowMs - idempotencyLifeMs);
    if (!request) return { kind: "new" };
    // Of an erased task there is no fingerprint any more: whatever the body is, the answer is that it was deleted.
    const isOther = request.fingerprint !== null && request.fingerprint !== replay.fingerprint;
    return isOther ? { kind: "other_body" } : { kind: "again", request };
  }
  if (replay.retries === 0) return { kind: "new" };
  const sinceMs = nowMs - retryLifeMs;
  const requests = findRetriedBodies(sql, keyId, replay.fingerprint, sinceMs);
  const request = requests.find(({ answered }) => answered < replay.retries) ?? requests[0];
  if (!request) return { kind: "new" };
  markAnswered(sql, request, replay.retries);
  return { kind: "again", request };
}
