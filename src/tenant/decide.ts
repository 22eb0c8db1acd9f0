/**
 * One decision on one request: key, replay, every limit and the money, in one transaction. Nothing is written
 * unless all of them admit.
 */
import { type Caller, checkAccess, type KeyRefusal } from "../domain/access.ts";
import { type Account, availableOf, balanceOf, hold } from "../domain/account.ts";
import {
  dateOf,
  emptyMeters,
  keyLimits,
  type LimitName,
  type LimitRefusal,
  type Limits,
  longest,
  type Meters,
  type PolicyState,
  policiesOf,
  tightest,
  weigh,
} from "../domain/admission.ts";
import { hasOwnLimits, type StoredKey } from "../domain/keys.ts";
import type { Model } from "../domain/model-catalog.ts";
import { type Hold, insertHold } from "./ledger.ts";
import { withHold } from "./open-holds.ts";
import { findReplay, type Replay } from "./replay.ts";
import {
  addTokenImages,
  type Book,
  readGround,
  readKeyMeters,
  readTokenImages,
  type Settings,
  writeKeyMeters,
} from "./sql.ts";

export interface AdmitRequest {
  caller: Caller;
  taskId: string;
  model: Model;
  /** Images asked for. */
  images: number;
  /** Credits per image, where the tenant has no price of its own. */
  price: number;
  replay: Replay | null;
  /** It can only be a repetition: as a new request it would be refused for a reason of its own. */
  onlyReplay?: boolean;
  /** The Worker's clock, unix milliseconds. */
  nowMs: number;
}

export type AdmitDecision =
  | { kind: "key_refused"; refusal: KeyRefusal }
  | (Refused & { policies: PolicyState[] })
  /** The same request came before: this is its task, if it has a row by now. */
  | { kind: "replay"; taskId: string; admittedMs: number; policies: PolicyState[] }
  /** It is a new request, and was to be a repetition only. */
  | { kind: "no_replay"; policies: PolicyState[] }
  | {
      kind: "admitted";
      hold: number;
      price: number;
      balanceLow: BalanceLow | null;
      /** What the alarm is to be set to; null: it is set. */
      alarmMs: number | null;
      policies: PolicyState[];
    };

/** Why a request by a good key does not go ahead. */
export type Refused =
  | ({ kind: "limited" } & LimitRefusal)
  /** More images than a whole limit, which no waiting helps. */
  | { kind: "never_fits"; limit: LimitName | "max_images"; most: number }
  | { kind: "token_spent"; most: number }
  | { kind: "insufficient_balance"; needed: number; available: number }
  | { kind: "other_body" };

/** What a tenant is told when its balance falls below the line that it is warned at. Credits. */
export interface BalanceLow {
  balance: number;
  held: number;
  available: number;
  lowBalance: number;
}

/** How long after an admission the alarm looks whether its task has a row. */
export const confirmAfterMs = 120_000;

/** What a request is weighed against. */
interface Scales {
  settings: Settings;
  key: StoredKey;
  book: Book;
  /** Of a key with limits of its own. */
  own: { limits: Limits; meters: Meters } | null;
  /** Images that the caller's token has used. */
  used: number;
}

export function decide(sql: SqlStorage, request: AdmitRequest): AdmitDecision {
  const { caller, nowMs } = request;
  const { settings, key, book } = readGround(sql, caller.keyId);
  if (!settings || !key) return { kind: "key_refused", refusal: "invalid_key" };
  const refusal = checkAccess(caller, key, settings, { action: "submit", model: request.model }, nowMs);
  if (refusal) return { kind: "key_refused", refusal };

  const scales = readScales(sql, caller, settings, key, book);
  const before = () => policiesFor(request, scales);
  const found = findReplay(sql, request);
  if (found.kind === "other_body") return { kind: "other_body", policies: before() };
  if (found.kind === "again") {
    const { task, atMs } = found.hold;
    return { kind: "replay", taskId: task, admittedMs: atMs, policies: before() };
  }
  if (request.onlyReplay) return { kind: "no_replay", policies: before() };
  return admit(sql, request, scales) ?? { ...refusalOf(request, scales), policies: before() };
}

export function readScales(
  sql: SqlStorage,
  { token }: Caller,
  settings: Settings,
  key: StoredKey,
  book: Book,
): Scales {
  return {
    settings,
    key,
    book,
    own: hasOwnLimits(key)
      ? { limits: keyLimits(key.limits), meters: readKeyMeters(sql, key.id) ?? emptyMeters }
      : null,
    used: token ? readTokenImages(sql, token.id) : 0,
  };
}

function priceOf({ model, price }: AdmitRequest, settings: Settings): number {
  return settings.prices[model] ?? price;
}

/** Writes the admission down; undefined, and nothing is written, when anything refuses. */
function admit(sql: SqlStorage, request: AdmitRequest, scales: Scales): AdmitDecision | undefined {
  const { caller, images, nowMs, replay } = request;
  const { settings, book, own, key } = scales;
  const shared = weigh(book.meters, settings.limits, images, nowMs);
  const ours = own && weigh(own.meters, own.limits, images, nowMs);
  const price = priceOf(request, settings);
  const account = hold(book.account, price * images, settings.prepaid);
  const spent = caller.token !== null && scales.used + images > caller.token.maxImages;
  if (shared.refusals.length > 0 || (ours && ours.refusals.length > 0) || spent || !account) return undefined;

  const seq = book.seq + 1;
  const alarmMs = book.alarmMs === null ? nowMs + confirmAfterMs : null;
  const alarm = alarmMs === null ? {} : { alarmMs, alarmSeq: seq };
  const balanceLow = lowOf(account, settings);
  // Told once, by the admission that crosses the line.
  const told = book.lowTold === true && lowOf(book.account, settings) !== null;
  const after: Book = {
    ...{ ...book, ...alarm, seq, account },
    ...{ open: withHold(book.open, seq), meters: shared.after, lowTold: balanceLow !== null },
  };
  if (ours) writeKeyMeters(sql, key.id, ours.after);
  if (caller.token) addTokenImages(sql, caller.token, images, nowMs);
  const held: Hold = {
    seq,
    task: request.taskId,
    keyId: key.id,
    tokenId: caller.token?.id ?? null,
    atMs: nowMs,
    date: dateOf(nowMs),
    images,
    price,
    balance: balanceOf(account),
    held: account.held,
    // A body is found by its fingerprint; an index entry for each, for the few that come twice, would be a row more.
    replay: replay?.by === "key" ? replay.value : null,
    fingerprint: replay?.fingerprint ?? null,
  };
  insertHold(sql, held, after);
  const policies = policiesFor(request, {
    ...scales,
    book: after,
    own: own && ours && { limits: own.limits, meters: ours.after },
    used: scales.used + images,
  });
  return {
    kind: "admitted",
    hold: seq,
    price,
    balanceLow: told ? null : balanceLow,
    alarmMs,
    policies,
  };
}

function lowOf(account: Account, { lowBalance }: Settings): BalanceLow | null {
  const available = availableOf(account);
  if (lowBalance === null || available >= lowBalance) return null;
  return { balance: balanceOf(account), held: account.held, available, lowBalance };
}

/** Why not: what never goes away by waiting first, then what takes longest to. */
function refusalOf(request: AdmitRequest, { settings, book, own, used }: Scales): Refused {
  const { caller, images, nowMs } = request;
  const token = caller.token;
  const weighed = [
    ...(own ? [{ limits: own.limits, ...weigh(own.meters, own.limits, images, nowMs) }] : []),
    { limits: settings.limits, ...weigh(book.meters, settings.limits, images, nowMs) },
  ];
  if (token && images > token.maxImages)
    return { kind: "never_fits", limit: "max_images", most: token.maxImages };
  for (const { limits, neverFits } of weighed) {
    const [limit] = neverFits;
    if (limit) return { kind: "never_fits", limit, most: limits[limit] ?? 0 };
  }
  if (token && used + images > token.maxImages) return { kind: "token_spent", most: token.maxImages };
  const needed = priceOf(request, settings) * images;
  if (!hold(book.account, needed, settings.prepaid)) {
    return { kind: "insufficient_balance", needed, available: availableOf(book.account) };
  }
  const limited = longest(weighed.flatMap(({ refusals }) => refusals));
  if (!limited) throw new Error("refused without a reason");
  return { kind: "limited", ...limited };
}

/**
 * The policies that a caller is told of. Browser keys and tokens, which strangers hold, learn of their own only;
 * a token's own is what is left of its images.
 */
export function policiesFor(
  { caller, nowMs }: Pick<AdmitRequest, "caller" | "nowMs">,
  { settings, book, own, used }: Scales,
): PolicyState[] {
  const ours = own ? policiesOf(own.meters, own.limits, nowMs) : [];
  if (caller.kind === "secret")
    return tightest([...ours, ...policiesOf(book.meters, settings.limits, nowMs)]);
  if (!caller.token) return ours;
  const { maxImages, expiresMs } = caller.token;
  const seconds = Math.max(0, Math.ceil((expiresMs - nowMs) / 1000));
  const images: PolicyState = {
    name: "images",
    limit: maxImages,
    windowSeconds: seconds,
    remaining: Math.max(0, maxImages - used),
    resetSeconds: seconds,
  };
  return tightest([images, ...ours]);
}
