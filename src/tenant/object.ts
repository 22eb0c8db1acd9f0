/**
 * The tenant's object: the one place where it is decided whether a tenant's request may go ahead, and the one
 * that keeps its money. Calls reach it one after the other and each decides in one transaction, so that
 * parallel requests cannot overrun a limit; whatever counts is in its SQLite, so that an eviction neither
 * forgets nor repeats anything.
 *
 * Refusals are values: a thrown error loses its shape between object and Worker.
 *
 * An admission whose Worker died before it wrote the task's row leaves a hold that nobody would ever settle:
 *
 *   Worker                                   the object's alarm, two minutes later
 *   1. admit: the hold
 *   2. (dies, or is slow)
 *                                            3. asks D1 for a row; writes a void one where there is none
 *                                            4. a void one went in: releases the hold
 *   5. writes the row: the void one is
 *      there, so it calls nobody: 503
 */
import { DurableObject } from "cloudflare:workers";
import { availableOf, balanceOf, credit, settle } from "../domain/account.ts";
import { afterTask, type LimitName, type Limits, remainingOf } from "../domain/admission.ts";
import type { Credit, LedgerLine, LedgerQuery } from "../domain/ledger.ts";
import type { TenantConfig } from "../domain/tenant.ts";
import { loadTenantConfig } from "../store/tenants.ts";
import { voidMissing } from "../store/voids.ts";
import { type Check, checkBooks } from "./check.ts";
import { type AdmitDecision, type AdmitRequest, confirmAfterMs, decide } from "./decide.ts";
import { closeHold, findCredit, findHold, insertEntry, openHolds, readLedger } from "./ledger.ts";
import {
  type Book,
  migrate,
  readBook,
  readKeyMeters,
  readSettings,
  returnTokenImages,
  writeBook,
  writeConfig,
  writeKeyMeters,
} from "./sql.ts";

export type { AdmitDecision, AdmitRequest } from "./decide.ts";

/** How a task ended, for its hold. */
export interface Settlement {
  /** The number that the admission gave it. */
  hold: number;
  /** Images that were stored; each is charged at the price of the admission. */
  images: number;
  /** The upstream refused the content. */
  refused: boolean;
  /** The caller was told that there is no task: its idempotency key is free again. */
  forget: boolean;
  /** Why, when it did not go the usual way. */
  note?: string;
  nowMs: number;
}

export interface Summary {
  /** Null: not prepaid, metered only. */
  prepaid: boolean;
  balance: number;
  held: number;
  available: number;
  limits: Limits;
  remaining: Record<LimitName, number | null>;
}

export type CreditResult =
  | { kind: "done"; line: LedgerLine; repeated: boolean }
  /** The account would have less than it holds. */
  | { kind: "balance_held"; available: number }
  /** The reference was used for something else. */
  | { kind: "reference_taken" }
  | { kind: "no_tenant" };

export class Tenant extends DurableObject<Env> {
  readonly #storage: DurableObjectStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = ctx.storage;
    migrate(ctx.storage);
  }

  /**
   * Decides on one submission, and counts and holds it when it is admitted; a refusal consumes nothing.
   * @returns the decision, with the state of every limit in force once the key is known to be good.
   */
  async admit(request: AdmitRequest): Promise<AdmitDecision> {
    await this.#ready(request.caller.tenantId, request.nowMs);
    const { sql } = this.#storage;
    const hadAlarm = readBook(sql).alarmMs !== null;
    const decision = this.#storage.transactionSync(() => decide(sql, request));
    if (decision.kind === "admitted" && !hadAlarm) await this.#setAlarm();
    return decision;
  }

  /**
   * Ends a hold: charges what was stored, releases the rest, and takes the task out of the meters. The second
   * time, and for a hold that there never was, it changes nothing.
   * @returns whether it was settled by this call.
   */
  settle(settlement: Settlement): boolean {
    return this.#storage.transactionSync(() => this.#settle(settlement));
  }

  /** Tops up, refunds or adjusts; once per `reference`. */
  async credit(tenantId: string, wanted: Credit, nowMs: number): Promise<CreditResult> {
    await this.#ready(tenantId, nowMs);
    return this.#storage.transactionSync(() => this.#credit(wanted, nowMs));
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
      const { account } = readBook(this.#storage.sql);
      // Whether or not the tenant is prepaid by now: it is about to be.
      if (balance < account.held) return { kind: "balance_held", available: availableOf(account) };
      const amount = balance - balanceOf(account);
      if (amount === 0) return { kind: "unchanged" };
      return this.#credit({ type: "adjustment", amount, reference, note: null }, nowMs);
    });
  }

  /** What the tenant has, holds and may still use. */
  async summary(tenantId: string, nowMs: number): Promise<Summary | undefined> {
    await this.#ready(tenantId, nowMs);
    const { sql } = this.#storage;
    const settings = readSettings(sql);
    if (!settings) return undefined;
    const { account, meters } = readBook(sql);
    return {
      prepaid: settings.prepaid,
      balance: balanceOf(account),
      held: account.held,
      available: availableOf(account),
      limits: settings.limits,
      remaining: remainingOf(meters, settings.limits, nowMs),
    };
  }

  /** Reads the ledger, newest first; a charge and its release are never torn apart. */
  ledger(query: LedgerQuery): LedgerLine[] {
    return readLedger(this.#storage.sql, query);
  }

  /**
   * Takes a copy of the tenant; an older one than it has is ignored.
   * @returns the version that it has afterwards.
   */
  configure(config: TenantConfig, nowMs: number): number {
    return this.#storage.transactionSync(() => {
      const { sql } = this.#storage;
      const current = readSettings(sql);
      if (current && current.version >= config.version) return current.version;
      writeConfig(sql, config);
      this.#open(config.openingBalance, nowMs);
      return config.version;
    });
  }

  /** Answers, which says that the object and its storage are there. */
  ping(): boolean {
    readSettings(this.#storage.sql);
    return true;
  }

  /** Adds everything up again from its rows, and lists what has not ended. Reads the whole ledger. */
  check(): Check {
    return checkBooks(this.#storage.sql);
  }

  /** Sees to holds without a row. Runs at least once; what it could not do it does at the next one. */
  override async alarm(): Promise<void> {
    const { sql } = this.#storage;
    const { confirmedSeq, alarmSeq, alarmMs } = readBook(sql);
    const nowMs = alarmMs ?? 0;
    const holds = openHolds(sql, confirmedSeq, alarmSeq);
    let confirmed = alarmSeq;
    let released = 0;
    try {
      const tasks = holds.map(({ task }) => task);
      const voided = new Set(await voidMissing(this.env.DB, tasks, nowMs));
      released = voided.size;
      this.#storage.transactionSync(() => {
        for (const { seq, task } of holds) {
          const note = "no task came of it";
          const nothing = { hold: seq, images: 0, refused: false, forget: true, note, nowMs };
          if (voided.has(task)) this.#settle(nothing);
        }
      });
    } catch {
      // D1 is out of reach: the same holds again, at the next alarm.
      confirmed = confirmedSeq;
    }
    const book = readBook(sql);
    const last = openHolds(sql, confirmed, book.seq).at(-1);
    const next = {
      confirmedSeq: last ? confirmed : book.seq,
      alarmSeq: book.seq,
      // By the latest admission: a late alarm must not cut its two minutes short.
      alarmMs: last ? Math.max(nowMs, last.atMs) + confirmAfterMs : null,
    };
    // A task that never came to be has told nobody that the balance is low.
    writeBook(sql, { ...book, ...next, ...(released > 0 && { lowTold: false }) });
    if (last) await this.#setAlarm();
  }

  /** Loads the tenant from D1 when there is no copy yet. */
  async #ready(tenantId: string, nowMs: number): Promise<void> {
    if (readSettings(this.#storage.sql)) return;
    const config = await loadTenantConfig(this.env.DB, tenantId, nowMs);
    if (config) this.configure(config, nowMs);
  }

  async #setAlarm(): Promise<void> {
    const { alarmMs } = readBook(this.#storage.sql);
    if (alarmMs !== null) await this.#storage.setAlarm(alarmMs);
  }

  /** Puts the credits that the tenant starts with into its account, once. */
  #open(openingBalance: number, nowMs: number): void {
    const book = readBook(this.#storage.sql);
    if (book.opened) return;
    writeBook(this.#storage.sql, { ...book, opened: true });
    if (openingBalance > 0) {
      this.#credit(
        { type: "topup", amount: openingBalance, reference: "gateway: opening balance", note: null },
        nowMs,
      );
    }
  }

  #settle({ hold: seq, images, refused, forget, note = null, nowMs }: NotedSettlement): boolean {
    const { sql } = this.#storage;
    const hold = findHold(sql, seq);
    if (!hold || !closeHold(sql, seq, forget)) return false;
    const amount = hold.images * hold.price;
    const charged = Math.min(images, hold.images) * hold.price;
    const ended = { date: hold.date, unmade: hold.images - Math.min(images, hold.images), refused };
    const keyMeters = readKeyMeters(sql, hold.keyId);
    if (keyMeters) writeKeyMeters(sql, hold.keyId, afterTask(keyMeters, ended, nowMs));
    if (hold.tokenId !== null && ended.unmade > 0) returnTokenImages(sql, hold.tokenId, ended.unmade);
    const book = readBook(sql);
    const account = settle(book.account, amount, charged);
    const entry = { type: "settle" as const, task: hold.task, amount: charged, released: amount - charged };
    const after = { ...book, account, meters: afterTask(book.meters, ended, nowMs) };
    this.#enter(after, { ...entry, reference: null, note }, nowMs);
    return true;
  }

  #credit(wanted: Credit, nowMs: number): CreditResult {
    const { sql } = this.#storage;
    const settings = readSettings(sql);
    if (!settings) return { kind: "no_tenant" };
    const earlier = findCredit(sql, wanted.reference);
    if (earlier) {
      if (earlier.type !== wanted.type || earlier.amount !== wanted.amount)
        return { kind: "reference_taken" };
      return { kind: "done", line: { ...earlier, type: wanted.type }, repeated: true };
    }
    const book = readBook(sql);
    const account = credit(book.account, wanted.amount, settings.prepaid);
    if (!account) return { kind: "balance_held", available: availableOf(book.account) };
    const entry = { ...wanted, task: null, released: 0 };
    const { type: _type, ...line } = this.#enter({ ...book, account }, entry, nowMs);
    return { kind: "done", line: { ...line, type: wanted.type }, repeated: false };
  }

  /** Writes an entry and the book that it leads to, numbered from one sequence. */
  #enter(book: Book, entry: NewEntry, nowMs: number) {
    const { sql } = this.#storage;
    const seq = book.seq + 1;
    const { account } = book;
    const written = { ...entry, seq, atMs: nowMs, balance: balanceOf(account), held: account.held };
    writeBook(sql, { ...book, seq });
    insertEntry(sql, written);
    return written;
  }
}

type NotedSettlement = Omit<Settlement, "note"> & { note?: string | null };
type NewEntry = Omit<Parameters<typeof insertEntry>[1], "seq" | "atMs" | "balance" | "held">;
