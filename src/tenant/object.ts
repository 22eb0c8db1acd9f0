/**
 * The tenant's object: the one place where it is decided whether a tenant's request may go ahead, and the one
 * that keeps its money. It takes calls one after the other and each decides in one transaction, so that
 * parallel requests cannot overrun a limit; whatever counts is in its SQLite, so that an eviction neither
 * loses nor repeats anything.
 *
 * Refusals are values: a thrown error loses its shape between object and Worker.
 *
 * An admission whose Worker died before it wrote the task's row leaves a hold that no sender or cron would settle:
 *
 *   Worker                                   the object's alarm, two minutes later
 *   1. admit: the hold
 *   2. (dies, or is slow)
 *                                            3. asks D1 for a row; writes a void one where there is none
 *                                            4. a void one went in: releases the hold
 *   5. writes the row: the void one is
 *      there, so nothing is sent: 503
 */
import { DurableObject } from "cloudflare:workers";
import type { Submitted } from "../d1/tasks/tasks.ts";
import { voidMissing } from "../d1/tasks/voids.ts";
import { loadTenantConfig } from "../d1/tenants/tenants.ts";
import { availableOf, balanceOf } from "../domain/account.ts";
import type { StoredKey } from "../domain/keys.ts";
import type { Credit, LedgerLine, LedgerQuery } from "../domain/ledger-lines.ts";
import { StoredDataUnreadable } from "../domain/stored.ts";
import type { TenantConfig } from "../domain/tenant.ts";
import { type Check, checkState } from "./check-state.ts";
import { type Copied, hasSettings, readSettings, suspendCopy, takeCopy } from "./config-copy.ts";
import { type AdmitDecision, type AdmitRequest, confirmAfterMs, decide } from "./decide.ts";
import { admitFile, dropFile, type FileDecision, type FileRequest, keepFile } from "./file-admission.ts";
import { GroupCommit } from "./group-commit.ts";
import { readLedger } from "./ledger.ts";
import { migrate } from "./migrations.ts";
import { openTasksBetween } from "./open-tasks.ts";
import {
  type CreditResult,
  creditAccount,
  openAccount,
  type Settlement,
  type SettleResult,
  settleHold,
} from "./settlement.ts";
import { type Summary, summarize } from "./summary.ts";
import {
  type BeginDecision,
  beginChange,
  type Change,
  type Changed,
  commitChanges,
  type D1Spent,
  type RowWanted,
} from "./task-rows.ts";
import { readState, writeState } from "./tenant-state.ts";

export type { AdmitDecision, AdmitRequest } from "./decide.ts";
export type { FileDecision, FileRefused, FileRequest } from "./file-admission.ts";
export type { CreditResult, Settlement } from "./settlement.ts";
export type { Summary } from "./summary.ts";
export type { BeginDecision, D1Spent, RowWanted } from "./task-rows.ts";

export class Tenant extends DurableObject<Env> {
  readonly #storage: DurableObjectStorage;
  readonly #rows: GroupCommit<Change, Changed>;
  /** Whether there is a copy of the tenant; once there, it stays. */
  #hasCopy: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = ctx.storage;
    this.#rows = new GroupCommit((changes) => commitChanges(this.env.DB, changes));
    migrate(ctx.storage);
    this.#hasCopy = hasSettings(ctx.storage.sql);
  }

  /**
   * Decides on one submission, and counts and holds it when it is admitted; a refusal consumes nothing.
   * @returns the decision, with the state of every limit in force once the key is known to be good.
   */
  async admit(request: AdmitRequest): Promise<AdmitDecision> {
    await this.#ready(request.caller.tenantId, request.nowMs);
    return this.#decide(request);
  }

  #decide(request: AdmitRequest): AdmitDecision {
    const decision = this.#storage.transactionSync(() => decide(this.#storage.sql, request));
    // Not waited for: nothing leaves the object before both are kept.
    if (decision.kind === "admitted" && decision.alarmMs !== null)
      this.ctx.waitUntil(this.#storage.setAlarm(decision.alarmMs));
    return decision;
  }

  /**
   * Admits a submission and writes its task's row, in one call: the caller waits for one hop less, and the rows of
   * requests that come together are written together.
   */
  async begin(request: AdmitRequest, row: RowWanted): Promise<BeginDecision> {
    await this.#ready(request.caller.tenantId, request.nowMs);
    const made: { decision?: AdmitDecision } = {};
    const changed = await this.#rows.write(() => {
      const decision = this.#decide(request);
      made.decision = decision;
      return decision.kind === "admitted" ? beginChange(request, decision, row) : null;
    });
    const { decision } = made;
    if (decision && decision.kind !== "admitted") return decision;
    if (!decision || !changed) return { kind: "unwritten" };
    return { ...decision, written: changed.row ?? null, cost: changed.cost };
  }

  /**
   * Notes in D1 that the upstream has a task.
   * @returns whether this was the first to say so; null when it is not known whether it was written.
   */
  async submitted(id: string, submitted: Submitted): Promise<{ isFirst: boolean; cost: D1Spent } | null> {
    const changed = await this.#rows.write(() => ({ kind: "submitted", task: { id, ...submitted } }));
    return changed && { isFirst: changed.row !== undefined, cost: changed.cost };
  }

  /**
   * Ends a hold: charges what was stored, releases the rest, and takes the task out of the counters. The second
   * time, for a hold that there never was, and for another task's, it changes nothing.
   */
  settle(settlement: Settlement): SettleResult {
    return this.#storage.transactionSync(() => settleHold(this.#storage.sql, settlement));
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
    return this.#storage.transactionSync(() => {
      const { account } = readState(this.#storage.sql);
      // Whether or not the tenant is prepaid by now: it is about to be.
      if (balance < account.held) return { kind: "balance_held", available: availableOf(account) };
      const amount = balance - balanceOf(account);
      if (amount === 0) return { kind: "unchanged" };
      return creditAccount(this.#storage.sql, { type: "adjustment", amount, reference, note: null }, nowMs);
    });
  }

  /** What the tenant has, holds and may still use. */
  async summary(tenantId: string, nowMs: number): Promise<Summary | undefined> {
    await this.#ready(tenantId, nowMs);
    const { sql } = this.#storage;
    return this.#storage.transactionSync(() => summarize(sql, nowMs));
  }

  /** Reads the ledger, newest first; a charge and its release are never torn apart. */
  ledger(query: LedgerQuery): LedgerLine[] {
    return readLedger(this.#storage.sql, query);
  }

  /** Takes a copy of the tenant, if it is newer than the one that the object has. */
  takeConfig(config: TenantConfig, nowMs: number): Copied {
    const copied = this.#storage.transactionSync(() => {
      const taken = takeCopy(this.#storage.sql, config, nowMs);
      if (taken.isTaken && !taken.isKnown) openAccount(this.#storage.sql, config.openingBalance, nowMs);
      return taken;
    });
    this.#hasCopy = true;
    return copied;
  }

  /** As a Worker of the version before calls it, while a deployment runs both. */
  configure(config: TenantConfig, nowMs: number): number {
    return this.takeConfig(config, nowMs).version;
  }

  /** Takes the keys of a tenant whose settings cannot be read, and lets none of them in until they can be. */
  suspend(version: number, keys: StoredKey[]): void {
    this.#storage.transactionSync(() => suspendCopy(this.#storage.sql, version, keys));
  }

  /** Answers, which says that the object and its storage are there. */
  ping(): boolean {
    readSettings(this.#storage.sql);
    return true;
  }

  /** Adds everything up again from its rows, and lists what has not ended. Reads the whole ledger. */
  check(): Check {
    return checkState(this.#storage.sql);
  }

  /** Sees to holds without a row. Runs at least once; what it could not do it does at the next one. */
  override async alarm(): Promise<void> {
    const { sql } = this.#storage;
    const before = readState(sql);
    const { confirmedSeq, alarmSeq, alarmMs } = before;
    const nowMs = alarmMs ?? 0;
    const holds = openTasksBetween(sql, confirmedSeq, alarmSeq);
    let confirmed = alarmSeq;
    let released = 0;
    try {
      const tasks = holds.map(({ taskId: task }) => task);
      const voided = new Set(await voidMissing(this.env.DB, tasks, nowMs));
      released = voided.size;
      for (const { seq, taskId: task } of holds) {
        const note = "no task came of it";
        const nothing = {
          holdNumber: seq,
          taskId: task,
          images: 0,
          refused: false,
          deleteReplay: true,
          note,
          nowMs,
        };
        if (voided.has(task)) this.#release(nothing);
      }
    } catch {
      // D1 is unavailable: the same holds again, at the next alarm.
      confirmed = confirmedSeq;
    }
    const state = readState(sql);
    const last = openTasksBetween(sql, confirmed, state.seq).at(-1);
    const next = {
      confirmedSeq: last ? confirmed : state.seq,
      alarmSeq: state.seq,
      // By the latest admission: a late alarm must not cut its two minutes short.
      alarmMs: last ? Math.max(nowMs, last.atMs) + confirmAfterMs : null,
    };
    // A task without a row has sent no `balance.low`: its event went into D1 with the row.
    writeState(sql, { ...state, ...next, ...(released > 0 && { lowBalanceNotified: false }) });
    if (next.alarmMs !== null) await this.#storage.setAlarm(next.alarmMs);
  }

  /** Releases a hold; one that what is stored keeps from it is left to reconciliation, which names it. */
  #release(settlement: Settlement): void {
    try {
      this.settle(settlement);
    } catch (error) {
      if (!(error instanceof StoredDataUnreadable)) throw error;
    }
  }

  /** Loads the tenant from D1 when there is no copy yet. */
  async #ready(tenantId: string, nowMs: number): Promise<void> {
    if (this.#hasCopy) return;
    const config = await loadTenantConfig(this.env.DB, tenantId, nowMs);
    if (config) this.takeConfig(config, nowMs);
  }
}
