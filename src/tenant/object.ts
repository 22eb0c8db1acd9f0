/**
 * The tenant's object: the one place where it is decided whether a tenant's request may go ahead, and the one that keeps its
 * money. It takes calls one after the other and each decides in one transaction, so that parallel requests cannot overrun a
 * limit; whatever counts is in its SQLite, so that an eviction neither loses nor repeats anything.
 *
 * Refusals are values: a thrown error loses its shape between object and Worker.
 */
import { DurableObject } from "cloudflare:workers";
import { loadTenantConfig } from "../d1/tenants/tenants.ts";
import type { Caller } from "../domain/access.ts";
import type { StoredKey } from "../domain/keys.ts";
import type { Credit, LedgerLine, LedgerQuery } from "../domain/ledger-lines.ts";
import type { LedgerPart } from "../domain/ledger-part.ts";
import type { FirstOutcome } from "../domain/new-task.ts";
import type { TenantConfig } from "../domain/tenant.ts";
import { type Check, checkState, type Unsummed } from "./check-state.ts";
import { closeBooks } from "./closing.ts";
import { type ComparedEnds, compareEnds, comparePlace, type EndsToCompare } from "./compare-ends.ts";
import { type Copied, closeCopy, hasSettings, readSettings, suspendCopy, takeCopy } from "./config-copy.ts";
import { type CountDecision, countRequest, type RequestToCount } from "./count-request.ts";
import type { AdmitDecision, AdmitRequest, BeginDecision, RowWanted } from "./decide.ts";
import { decide } from "./decide.ts";
import { type EarlyEnd, endEarly, isEndedEarly } from "./early-ends.ts";
import { type ErasedTask, eraseState, keptRequests } from "./erase-state.ts";
import { admitFile, dropFile, type FileDecision, type FileRequest, keepFile } from "./file-admission.ts";
import { GroupCommit } from "./group-commit.ts";
import { closedParts, closedSeq, type PartsQuery } from "./ledger-parts.ts";
import { migrate } from "./migrations.ts";
import { findOpenTask, selectOpenTasks, takeOpenTask } from "./open-tasks.ts";
import { Outbox } from "./outbox.ts";
import { readLedger } from "./read-ledger.ts";
import {
  type CreditResult,
  creditAccount,
  openAccount,
  type Settlement,
  type SettleResult,
  setBalance,
  settleHold,
} from "./settlement.ts";
import { type Summary, summarize } from "./summary.ts";
import { writeRows } from "./task-rows.ts";
import { alarmTime, dropOldRows, nextAlarm, rearm, seeToOpenTasks } from "./upkeep.ts";
import { readYoung, withTask, type YoungTask } from "./young-tasks.ts";

export class Tenant extends DurableObject<Env> {
  readonly #storage: DurableObjectStorage;
  readonly #outbox: Outbox;
  /** Those that come while others are being kept are made together, and kept together. */
  readonly #decisions: GroupCommit<AdmitDecision, AdmitDecision>;
  /** Whether there is a copy of the tenant; once there, it stays. */
  #hasCopy: boolean;
  /** The last open task that an alarm has seen to; 0: it goes on with the oldest. */
  #checkedSeq = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = ctx.storage;
    migrate(ctx.storage);
    this.#outbox = new Outbox(ctx.storage.sql, (rows) => writeRows(this.env.DB, rows));
    this.#decisions = new GroupCommit(async (made) => {
      await ctx.storage.sync();
      return made;
    });
    this.#hasCopy = hasSettings(ctx.storage.sql);
    ctx.waitUntil(rearm(ctx.storage, this.#outbox));
  }

  /**
   * Decides on one submission. When it is admitted, its images are counted, its credits held and its task begun, all in
   * one transaction; a refusal consumes nothing. The same call again, with `isRepeated`, answers the same.
   * @returns the decision, with the state of every limit in force once the key is known to be good.
   */
  async begin(request: AdmitRequest, row: RowWanted): Promise<BeginDecision> {
    await this.#ready(request.caller.tenantId, request.nowMs);
    const decision = (await this.#decisions.write(() => this.#decide(request, row))) as AdmitDecision;
    return decision.kind === "replay" ? withTask(this.#storage.sql, this.#outbox, decision) : decision;
  }

  #decide(request: AdmitRequest, row: RowWanted): AdmitDecision {
    const decision = this.#storage.transactionSync(() =>
      decide(this.#storage.sql, request, row, (newest) => this.#outbox.writtenSeq(newest)),
    );
    if (decision.kind !== "admitted") return decision;
    this.#outbox.add(decision.holdNumber);
    // Not waited for: nothing leaves the object before both are kept.
    if (decision.alarmMs !== null) this.ctx.waitUntil(this.#storage.setAlarm(decision.alarmMs));
    return decision;
  }

  /**
   * Takes what a task's first sender has learned, and writes the task's row to D1 with it.
   * @returns whether that was news to D1; false also where D1 does not answer: then the row is written later.
   */
  async noteOutcome(holdNumber: number, taskId: string, outcome: FirstOutcome): Promise<boolean> {
    if (findOpenTask(this.#storage.sql, holdNumber)?.taskId !== taskId) return false;
    return (await this.#outbox.note(holdNumber, outcome)) !== undefined;
  }

  /** Writes the row of a task whose first sender waits for the upstream. @throws when D1 is unavailable. */
  async writeRow(holdNumber: number): Promise<void> {
    await this.#outbox.write(holdNumber);
  }

  /** Ends a task that the upstream has refused. @returns `goes_on`: another one sends it, and its caller gets the task. */
  endEarly(end: EarlyEnd): "ended" | "goes_on" {
    return this.#storage.transactionSync(() => endEarly(this.#storage.sql, end));
  }

  /**
   * Gives a task up of which it is not known whether it began: if it did, it ends; if it did not, it never will.
   * @returns `goes_on`: another request got it, by the same idempotency key, or cron sends it.
   */
  giveUp(taskId: string, nowMs: number): "ended" | "goes_on" {
    return this.endEarly({ taskId, holdNumber: null, errorCode: "service_unavailable", nowMs });
  }

  /**
   * Lets cron send a task whose first sender has recorded no outcome in time. That one cannot end it any more.
   * @returns false when it has ended it already. A task that is not known, as after a restore, was promised all the same.
   */
  async takeOver(holdNumber: number, taskId: string): Promise<boolean> {
    const { sql } = this.#storage;
    if (takeOpenTask(sql, holdNumber, taskId) || !isEndedEarly(sql, taskId)) return true;
    await this.#outbox.flush();
    return false;
  }

  /** Reads a task that D1 lacks so far. */
  readYoung(caller: Caller, taskId: string, nowMs: number): YoungTask {
    return readYoung(this.#storage.sql, this.#outbox, caller, taskId, nowMs);
  }

  /** Writes to D1 what that lacks. @throws when D1 is unavailable. */
  async flush(): Promise<void> {
    await this.#outbox.flush();
  }

  /** Ends a hold, once: charges what was stored, releases the rest, and takes the task out of the counters. */
  settle(settlement: Settlement): SettleResult {
    return this.#storage.transactionSync(() => settleHold(this.#storage.sql, settlement));
  }

  /** Whether a hold has ended, or there never was one of that task. */
  isSettled(holdNumber: number, taskId: string): boolean {
    return findOpenTask(this.#storage.sql, holdNumber)?.taskId !== taskId;
  }

  /** Tasks whose hold is open, of those admitted before a time. */
  openBefore(beforeMs: number): string[] {
    return selectOpenTasks(this.#storage.sql, "WHERE at_ms < ?", beforeMs).map(({ taskId }) => taskId);
  }

  /** Counts a request whose body is large, before that is read. */
  async countRequest(request: RequestToCount): Promise<CountDecision> {
    await this.#ready(request.caller.tenantId, request.nowMs);
    return this.#storage.transactionSync(() => countRequest(this.#storage.sql, request));
  }

  /** Decides on one upload, before its body is read. */
  async admitFile(request: FileRequest): Promise<FileDecision> {
    await this.#ready(request.caller.tenantId, request.nowMs);
    return this.#storage.transactionSync(() => admitFile(this.#storage.sql, request));
  }

  /** Makes an upload's hold the file's own; false when it has ended. */
  keepFile(fileId: string, file: { bytes: number; expiresMs: number }, nowMs: number): boolean {
    return this.#storage.transactionSync(() => keepFile(this.#storage.sql, fileId, file, nowMs));
  }

  /** Stops counting a file, or an upload that came to nothing. */
  dropFile(fileId: string, isUnused?: boolean): void {
    this.#storage.transactionSync(() => dropFile(this.#storage.sql, fileId, isUnused));
  }

  /** Tops up, refunds or adjusts; once per `reference`. */
  async credit(tenantId: string, wanted: Credit, nowMs: number): Promise<CreditResult> {
    await this.#ready(tenantId, nowMs);
    return this.#storage.transactionSync(() => creditAccount(this.#storage.sql, wanted, nowMs));
  }

  /** Adjusts the balance to an amount, whatever it was. */
  async setBalance(
    tenantId: string,
    balance: number,
    reference: string,
    nowMs: number,
  ): Promise<CreditResult | { kind: "unchanged" }> {
    await this.#ready(tenantId, nowMs);
    return this.#storage.transactionSync(() => setBalance(this.#storage.sql, balance, reference, nowMs));
  }

  /** What the tenant has, holds and may still use. */
  async summary(tenantId: string, nowMs: number): Promise<Summary | undefined> {
    await this.#ready(tenantId, nowMs);
    return this.#storage.transactionSync(() => summarize(this.#storage.sql, nowMs));
  }

  /** Reads what the object has of the ledger, newest first; a charge and its release are never torn apart. */
  ledgerPage(query: LedgerQuery): { lines: LedgerLine[]; isClosed: boolean } {
    return { lines: readLedger(this.#storage.sql, query), isClosed: closedSeq(this.#storage.sql) > 0 };
  }

  /** Takes a copy of the tenant, if it is newer than the one that the object has. */
  takeConfig(config: TenantConfig, nowMs: number, compares = false): Copied {
    const copied = this.#storage.transactionSync(() => {
      const taken = takeCopy(this.#storage.sql, config, nowMs, compares);
      if (taken.isTaken && !taken.isKnown) openAccount(this.#storage.sql, config.openingBalance, nowMs);
      return taken;
    });
    this.#hasCopy ||= !compares;
    return copied;
  }

  /** Takes the keys of a tenant whose settings cannot be read, and lets none of them in until they can be. */
  suspend(version: number, keys: StoredKey[]): void {
    this.#storage.transactionSync(() => suspendCopy(this.#storage.sql, version, keys));
  }

  /** Closes keys, or all of the tenant's, in the copy that there is. The next copy says for good what is closed. */
  close(keyIds: string[], isSuspended: boolean): void {
    this.#storage.transactionSync(() => closeCopy(this.#storage.sql, keyIds, isSuspended));
  }

  /** Erases what there is of tasks, or, null, of a deleted tenant. @returns false: a task of that is open. */
  erase(tasks: ErasedTask[] | null): boolean {
    return this.#storage.transactionSync(() => eraseState(this.#storage.sql, tasks));
  }

  /** Tasks that have ended and of whose requests something is kept, among some numbers of the ledger. */
  keptRequests(share: number, most: number): ErasedTask[] {
    return keptRequests(this.#storage.sql, share, most);
  }

  /** Answers, which says that the object and its storage are there. */
  ping(): boolean {
    readSettings(this.#storage.sql);
    return true;
  }

  /** Compares the ends of tasks with D1's. */
  compareEnds(ends: EndsToCompare): ComparedEnds {
    return compareEnds(this.#storage.sql, ends);
  }

  /** Where cron's comparing goes on; empty: with the newest. @param next It is there from now on. */
  comparePlace(next?: string): string {
    return comparePlace(this.#storage.kv, next);
  }

  /** Parts of the ledger that are closed, and may have lines of a period, newest first. Their lines are in R2. */
  closedParts(query: PartsQuery): LedgerPart[] {
    return closedParts(this.#storage.sql, query);
  }

  /** Adds everything up again from its rows, and lists what has not ended. @param rest What the call before has left. */
  check(rest?: Unsummed): Check {
    return checkState(this.#storage.sql, rest);
  }

  /** Closes what is old of the ledger, and drops rows that count no more. @throws when R2 is unavailable: the next call goes on. */
  async closeBooks(nowMs: number): Promise<void> {
    const parts = { storage: this.#storage, bucket: this.env.IMAGES, tenantId: this.ctx.id.name ?? "" };
    await closeBooks(parts, nowMs);
    this.#storage.transactionSync(() => dropOldRows(this.#storage.sql, nowMs));
  }

  /** Every minute while any task is open: writes to D1 what that lacks, sees to tasks that have ended, and closes what is old. */
  override async alarm(): Promise<void> {
    const nowMs = alarmTime(this.#storage.sql);
    try {
      await this.catchUp(nowMs);
      await this.closeBooks(nowMs);
    } catch {
      // D1 or R2 is unavailable: the same again, at the next alarm.
    }
    const alarmMs = nextAlarm(this.#storage, this.#outbox, nowMs);
    if (alarmMs !== null) await this.#storage.setAlarm(alarmMs);
  }

  /** Writes tasks again that D1 has lost. @returns the holds of those it has now. @throws when D1 is unavailable. */
  writeAgain(holdNumbers: number[]): Promise<number[]> {
    return this.#outbox.writeAgain(holdNumbers);
  }

  /** Does what the alarm does, now. @throws when D1 is unavailable. */
  async catchUp(nowMs: number): Promise<void> {
    await this.flush();
    const parts = { db: this.env.DB, storage: this.#storage, outbox: this.#outbox };
    this.#checkedSeq = await seeToOpenTasks(parts, this.#checkedSeq, nowMs);
  }

  /** Loads the tenant from D1 when there is no copy yet. */
  async #ready(tenantId: string, nowMs: number): Promise<void> {
    if (this.#hasCopy) return;
    const config = await loadTenantConfig(this.env.DB, tenantId, nowMs);
    if (config) this.takeConfig(config, nowMs);
  }
}
