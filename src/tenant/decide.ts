/**
 * One decision on one request: key, replay, every limit and the money, in one transaction. Nothing is written
 * unless all of them admit. A task begins here: its admission, its hold and all that D1 is to have of it are one
 * transaction. D1 follows (`outbox.ts`), and no caller waits for it. A Worker that dies leaves the task to cron:
 *
 *   Worker                                   what is found
 *   1. begin: the task and its hold
 *   (dies)                                   the outbox writes the row; cron sends the task once its lease has run out
 *   2. the upstream takes or refuses it
 *   (dies)                                   the same: the upstream answers with the task it has, or refuses it again
 *   3. noteOutcome, or endEarly
 *   (dies)                                   nothing is left to do
 */

import { type Caller, checkAccess, type KeyRefusal } from "../domain/access.ts";
import { type Account, availableOf, balanceOf, hold, priceOf } from "../domain/account.ts";
import {
  checkLimits,
  dateOf,
  type LimitName,
  type LimitRefusal,
  type PolicyState,
} from "../domain/admission.ts";
import { usableOf } from "../domain/limit-parts.ts";
import { imagePrice, type Model } from "../domain/model-catalog.ts";
import type { NewTask } from "../domain/new-task.ts";
import type { Task } from "../domain/task.ts";
import { readAdmissionRows } from "./admission-rows.ts";
import type { Settings } from "./config-copy.ts";
import {
  type AdmissionContext,
  checkScopes,
  keepScopes,
  policiesFor,
  readAdmissionContext,
} from "./counted-scopes.ts";
import { insertOpenTask, markShown, selectOpenTasks } from "./open-tasks.ts";
import { findReplay, type Replay } from "./replay.ts";
import type { TaskRow } from "./task-rows.ts";
import type { TenantState } from "./tenant-state.ts";

export interface AdmitRequest {
  caller: Caller;
  taskId: string;
  model: Model;
  /** Images asked for. */
  images: number;
  /** Credits per image, where the tenant has no price of its own. */
  price: number;
  replay: Replay | null;
  /** It can only be a replay: as a new request it would be refused for a reason of its own. */
  onlyReplay?: boolean;
  /** With `onlyReplay`: what a new request would be refused for is answered too. */
  onlyAsks?: boolean;
  /** It is one of the minute's requests already, since its body was large. */
  isCounted?: boolean;
  /** Names a visitor's network address, where it is known. */
  address?: string | null;
  /** The same call came before, and may have taken effect. Absent from a Worker of the version before. */
  isRepeated?: boolean;
  /** The Worker's clock, unix milliseconds. */
  nowMs: number;
}

export type AdmitDecision =
  | { kind: "key_refused"; refusal: KeyRefusal }
  | (Refused & { policies: PolicyState[] })
  /** The same request came before: this is its task. `holdNumber`: null once that is settled. */
  | { kind: "replay"; taskId: string; holdNumber: number | null; policies: PolicyState[] }
  /** It is a new request, and was to be a replay only. */
  | { kind: "no_replay"; policies: PolicyState[] }
  | {
      kind: "admitted";
      holdNumber: number;
      price: number;
      balanceLow: BalanceLow | null;
      /** What the alarm is to be set to; null: it is set. */
      alarmMs: number | null;
      policies: PolicyState[];
    }
  /** The task was given up before: its caller has the answer that nothing is charged. */
  | { kind: "given_up" };

/** A decision; a replay comes with its task, as long as D1 lacks that. `isSure`: D1 has nothing newer of it. */
export type BeginDecision =
  | Exclude<AdmitDecision, { kind: "replay" }>
  | (Extract<AdmitDecision, { kind: "replay" }> & { task: Task | null; isSure: boolean });

/** What D1 is to have of a task, beside what the request and the decision say of it. */
export interface RowWanted {
  task: Omit<NewTask, "id" | "model" | "priceCredits" | "holdNumber">;
  /** The id of the delivery of `balance.low`, should there be one. */
  lowId: string;
}

/** Why a request by a good key does not go ahead. */
export type Refused =
  | ({ kind: "limited" } & LimitRefusal)
  /** More images than a whole limit, which no waiting helps. */
  | { kind: "never_fits"; limit: LimitName | "max_images"; most: number }
  | { kind: "token_spent"; most: number; left: number }
  | { kind: "insufficient_balance"; needed: number; available: number }
  | { kind: "other_body" };

/** What a `balance.low` event says. Credits. */
export interface BalanceLow {
  balance: number;
  held: number;
  available: number;
  lowBalance: number;
}

/** How long after an admission the alarm sees to its task, and how often after that. */
export const alarmEveryMs = 60_000;

/** @param writtenSeqOf Up to where open tasks have a row in D1, by the newest number. */
export function decide(
  sql: SqlStorage,
  request: AdmitRequest,
  row: RowWanted,
  writtenSeqOf: (newest: number) => number,
): AdmitDecision {
  const { caller, nowMs } = request;
  const { settings, key, state: read, isEnded } = readAdmissionRows(sql, caller.keyId, request.taskId);
  const state = { ...read, writtenSeq: writtenSeqOf(read.seq) };
  if (isEnded) return { kind: "given_up" };
  if (!settings || !key) return { kind: "key_refused", refusal: "invalid_key" };
  const refusal = checkAccess(caller, key, settings, { action: "submit", model: request.model }, nowMs);
  if (refusal) return { kind: "key_refused", refusal };

  const context = readAdmissionContext(sql, request, { settings, key, state });
  const before = () => policiesFor(request, context);
  const begun = request.isRepeated ? selectOpenTasks(sql, "WHERE task_id = ?", request.taskId)[0] : undefined;
  if (begun) {
    const { seq: holdNumber, price } = begun;
    return { kind: "admitted", holdNumber, price, balanceLow: null, alarmMs: null, policies: before() };
  }
  const found = findReplay(sql, request);
  if (found.kind === "other_body") return { kind: "other_body", policies: before() };
  if (found.kind === "again") {
    const { taskId, seq, isOpen } = found.request;
    if (isOpen) markShown(sql, seq);
    return { kind: "replay", taskId, holdNumber: isOpen ? seq : null, policies: before() };
  }
  const refuse = () => ({ ...refusalOf(request, context), policies: before() });
  if (request.onlyAsks && !holdFor(request, context)) return refuse();
  if (request.onlyReplay) return { kind: "no_replay", policies: before() };
  return admit(sql, request, row, context) ?? refuse();
}

/** What an admission holds, and the counters after it; undefined when anything refuses. */
function holdFor(request: AdmitRequest, context: AdmissionContext) {
  const { settings, state } = context;
  const checks = checkTask(request, context);
  const price = imagePrice(request.model, settings.prices, request.price);
  const account = hold(state.account, priceOf({ images: request.images, price }), settings.prepaid);
  if (checks.limited || isSpent(request, context) || !account) return undefined;
  return { checks, price, account };
}

/** Writes the admission down; undefined, and nothing is written, when anything refuses. */
function admit(
  sql: SqlStorage,
  request: AdmitRequest,
  row: RowWanted,
  context: AdmissionContext,
): AdmitDecision | undefined {
  const { caller, images, nowMs, replay } = request;
  const { settings, state, key } = context;
  const held = holdFor(request, context);
  if (!held) return undefined;
  const { checks, price, account } = held;
  const seq = state.seq + 1;
  const alarmMs = state.alarmMs === null ? nowMs + alarmEveryMs : null;
  const crossed = lowOf(account, settings);
  // Notified once, by the admission that crosses the line.
  const notified = state.lowBalanceNotified && lowOf(state.account, settings) !== null;
  const after: TenantState = {
    ...{ ...state, alarmMs: state.alarmMs ?? alarmMs, seq, account },
    ...{ counters: checks.shared.after, lowBalanceNotified: crossed !== null },
  };
  const now = keepScopes(context, checks.own, { images, files: 0 }, after);
  const task = {
    seq,
    taskId: request.taskId,
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
    answered: 0,
    address: (context.isVisitor && request.address) || null,
  };
  const balanceLow = notified ? null : crossed;
  insertOpenTask(sql, task, JSON.stringify(recordFor(request, row, { seq, price, balanceLow })), after);
  return {
    kind: "admitted",
    holdNumber: seq,
    price,
    balanceLow,
    alarmMs,
    policies: policiesFor(request, now),
  };
}

const checkTask = ({ images, nowMs, isCounted }: AdmitRequest, context: AdmissionContext) =>
  checkScopes(context, ({ counters, limits }, keepsReserve) =>
    checkLimits(counters, limits, images, nowMs, { requests: isCounted ? 0 : 1, keepsReserve }),
  );

function isSpent({ caller: { token }, images }: AdmitRequest, { used }: AdmissionContext): boolean {
  return token !== null && used !== null && used.images + images > token.maxImages;
}

/** What D1 is to have of a task. */
function recordFor(
  { taskId: id, model, nowMs }: AdmitRequest,
  { task, lowId }: RowWanted,
  { seq, price, balanceLow }: { seq: number; price: number; balanceLow: BalanceLow | null },
): Omit<TaskRow, "outcome"> {
  const { tenantId } = task;
  const low = balanceLow && {
    ...{ id: lowId, tenantId, taskId: id, atMs: nowMs },
    data: lowBalanceData(balanceLow),
  };
  return { task: { ...task, id, model, priceCredits: price, holdNumber: seq }, low };
}

function lowBalanceData({ balance, held, available, lowBalance }: BalanceLow) {
  return { object: "balance", balance, held, available, low_balance: lowBalance };
}

function lowOf(account: Account, { lowBalance }: Settings): BalanceLow | null {
  const available = availableOf(account);
  if (lowBalance === null || available >= lowBalance) return null;
  return { balance: balanceOf(account), held: account.held, available, lowBalance };
}

/** Why not: what never goes away by waiting first, then what takes longest to. */
function refusalOf(request: AdmitRequest, context: AdmissionContext): Refused {
  const { caller, images } = request;
  const { settings, state } = context;
  const { token } = caller;
  const { own, shared, limited } = checkTask(request, context);
  if (token && images > token.maxImages)
    return { kind: "never_fits", limit: "max_images", most: token.maxImages };
  const tooMany = [...own, shared].flatMap(({ limits, neverFits, keepsReserve }) =>
    neverFits.map((limit) => ({ limit, most: usableOf(limits[limit], keepsReserve) })),
  );
  // As many as fit in all of them.
  const [least] = tooMany.sort((one, other) => one.most - other.most);
  if (least) return { kind: "never_fits", ...least };
  if (token && isSpent(request, context)) {
    const left = Math.max(0, token.maxImages - (context.used?.images ?? 0));
    return { kind: "token_spent", most: token.maxImages, left };
  }
  const needed = priceOf({ images, price: imagePrice(request.model, settings.prices, request.price) });
  if (!hold(state.account, needed, settings.prepaid)) {
    return { kind: "insufficient_balance", needed, available: availableOf(state.account) };
  }
  if (!limited) throw new Error("refused without a reason");
  return { kind: "limited", ...limited };
}
