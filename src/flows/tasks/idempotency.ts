/** How a replayed submission is recognised. */
import type { Caller } from "../../domain/access.ts";
import { addressGroup } from "../../domain/address.ts";
import { canonical } from "../../domain/canonical.ts";
import { sha256Hex } from "../../domain/signing.ts";
import type { Replay } from "../../tenant/replay.ts";

/** The parts of a request that say whether it is a replay of another one. */
export interface IdempotencySource {
  /** `Idempotency-Key`. */
  key: string | null;
  /** `X-Stainless-Retry-Count`, as OpenAI's SDKs send it. */
  retries: number;
  /** The caller's network address, if it is known. */
  ip: string | null;
}

/**
 * Names the submission that this one may replay. An idempotency key counts for its key or token alone; a browser key, which
 * all visitors share, also for their network address, so that no visitor gets another one's task by guessing.
 * @param body All parts of the request that a replay has in common with it, as they were parsed.
 */
export async function replayOf(
  caller: Caller,
  body: object,
  idempotency: IdempotencySource,
): Promise<Replay | null> {
  const fingerprint = await sha256Hex(canonical(body));
  const { retries } = idempotency;
  const value = await replayValueOf(caller, idempotency);
  if (value !== null) return { by: "key", value, fingerprint, retries };
  if (caller.kind !== "secret") return null;
  return { by: "body", fingerprint, retries };
}

/** Names the network address of a page's visitor, for what is counted by it, and says nothing of it. */
export async function addressName(caller: Caller, ip: string | null): Promise<string | null> {
  if (caller.kind === "secret" || ip === null) return null;
  return sha256Hex(JSON.stringify([caller.tenantId, addressGroup(ip)]));
}

/** What a submission with an idempotency key is found by, whatever its body is; null: it has none. */
export async function replayValueOf(
  caller: Caller,
  { key, ip }: Pick<IdempotencySource, "key" | "ip">,
): Promise<string | null> {
  if (key === null) return null;
  const holder = caller.token?.id ?? caller.keyId;
  const visitor = caller.kind === "browser" ? (ip ?? "") : "";
  return sha256Hex(JSON.stringify([holder, visitor, key]));
}
