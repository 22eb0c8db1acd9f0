/**
 * The outbox: tasks that D1 does not have yet, or not with their first sender's outcome. A task is in it from its
 * admission on, in the same transaction, since its row of `open_tasks` has all that D1 is to get. D1 gets it
 *
 *   as soon as the outcome is there   one write for most tasks
 *   after two seconds without one     by its sender, who waits for the upstream: lists show the task
 *   by alarm, or with a later write   when the sender died, D1 was out, or the object was evicted meanwhile
 *
 * and as often as it takes: a second writing of the same row changes nothing.
 *
 *   what happens                          what is found
 *   evicted before anything was written   rows above `writtenSeq`: they are written, without an outcome
 *   evicted after D1 took a row           the same; D1 has it already
 *   evicted before the outcome came       its sender calls the object that there is then
 *   D1 fails under an outcome             the outcome goes into the row, and is written later
 *   D1 took it and failed all the same    it is written once more
 *   the outcome comes while a write       it goes in with the next one
 *   without it is under way
 *   refused, with a write under way       the refusal is the next one, and moves the row on
 */
import type { Written } from "../d1/tasks/new-tasks.ts";
import type { FirstOutcome } from "../domain/new-task.ts";
import { readStored, StoredDataUnreadable } from "../domain/stored.ts";
import { listEarlyEnds, markWritten } from "./early-ends.ts";
import { GroupCommit } from "./group-commit.ts";
import { keptOutcome, keptTask, type TaskRow } from "./task-rows.ts";
import { readState } from "./tenant-state.ts";

/** The outcomes of submissions that came together come together as well, and no caller waits for their rows. */
const gatherMs = 5;
/** Rows that go along with a write once D1 answers again, found among so many. */
const mostLate = 64;
const mostSeen = 256;
/** Rows that wait in memory while all is written that D1 lacks. */
const mostAtOnce = 2_000;

interface Pending {
  outcome: FirstOutcome | null;
  /** D1 has the row, and lacks the outcome. */
  hasRow: boolean;
  /** The write that it waits for, or is in. */
  write?: Promise<Written | undefined | null> | undefined;
  /** It is in the write that is under way, with this outcome. */
  isUnderWay: boolean;
  given?: FirstOutcome | null;
  /** It should be in D1 by now. */
  isLate: boolean;
  /** D1 may have it, and have moved on, since another object wrote it or it is written again. */
  isUnsure: boolean;
}

const newcomer = { outcome: null, hasRow: false, isUnderWay: false, isLate: false, isUnsure: false };

/** A task as the object has it. */
export interface FoundRow {
  row: TaskRow;
  /** D1 has nothing newer. */
  isSure: boolean;
}

export class Outbox {
  readonly #sql: SqlStorage;
  readonly #rows: GroupCommit<TaskRow, Written | undefined>;
  /** By the number of the hold. */
  readonly #pending = new Map<number, Pending>();

  /** @param write Writes rows in one transaction. */
  constructor(sql: SqlStorage, write: (rows: TaskRow[]) => Promise<(Written | undefined)[]>) {
    this.#sql = sql;
    this.#rows = new GroupCommit(write, gatherMs);
    for (const { seq, outcome } of unwrittenRows(sql))
      this.#pending.set(seq, { ...newcomer, outcome, isLate: true, isUnsure: true });
  }

  /** Whether there is anything that D1 lacks. */
  get isEmpty(): boolean {
    return this.#pending.size === 0 && listEarlyEnds(this.#sql, 1).length === 0;
  }

  /** Up to which number D1 has each task that is open. @param newest The newest number. */
  writtenSeq(newest: number): number {
    for (const [seq, { hasRow }] of this.#pending) if (!hasRow) return seq - 1;
    return newest;
  }

  /** Takes a task that was admitted. */
  add(seq: number): void {
    this.#pending.set(seq, { ...newcomer });
  }

  /**
   * Takes a task's outcome, and writes it.
   * @returns the row that it made or moved on; undefined when another sender was first, or D1 does not have it yet.
   */
  async note(seq: number, outcome: FirstOutcome): Promise<Written | undefined> {
    const known = this.#pending.get(seq);
    this.#pending.set(seq, { ...(known ?? { ...newcomer, hasRow: true }), outcome, isLate: true });
    try {
      return (await this.#write(seq)) ?? undefined;
    } catch {
      this.#sql.exec("UPDATE open_tasks SET outcome = ? WHERE seq = ?", JSON.stringify(outcome), seq);
      return undefined;
    }
  }

  /** Writes a task whose outcome lets itself be waited for. @throws when D1 is unavailable. */
  async write(seq: number): Promise<void> {
    if (this.#pending.has(seq)) await this.#write(seq);
  }

  /**
   * Writes tasks again that D1 has lost.
   * @returns those that D1 has now; what cannot be read, and what is of a version before, is left out.
   * @throws when D1 is unavailable.
   */
  async writeAgain(seqs: number[]): Promise<number[]> {
    for (const seq of seqs)
      if (!this.#pending.has(seq)) this.#pending.set(seq, { ...newcomer, isLate: true, isUnsure: true });
    const results = await Promise.allSettled(seqs.map((seq) => this.#write(seq)));
    return seqs.filter((_, index) => {
      const result = results[index];
      if (result?.status === "fulfilled") return result.value !== null;
      if (!(result?.reason instanceof StoredDataUnreadable)) throw result?.reason;
      return false;
    });
  }

  /** What D1 is to have of a task that it lacks so far. `isSure`: false where D1 may have it all the same. */
  find(seq: number): FoundRow | undefined {
    const pending = this.#pending.get(seq);
    const row = pending && this.#rowOf(seq);
    return row && { row, isSure: !pending.isUnsure };
  }

  /**
   * Writes what D1 lacks. A task whose record cannot be read is left out; its hold stays.
   * @throws when D1 is unavailable.
   */
  async flush(): Promise<void> {
    const seqs = [...this.#pending.keys()];
    for (let from = 0; from < seqs.length; from += mostAtOnce)
      await allReadable(seqs.slice(from, from + mostAtOnce).map((seq) => this.#write(seq)));
    for (;;) {
      const ends = listEarlyEnds(this.#sql, mostAtOnce);
      if (ends.length === 0) return;
      await allReadable(ends.map((row) => this.#writeEnd(row)));
    }
  }

  /**
   * One write at a time for each task: a second one is that under way, unless another outcome has come since.
   * @returns null when there was nothing to write.
   */
  #write(seq: number): Promise<Written | undefined | null> {
    const known = this.#pending.get(seq);
    if (known?.write && (!known.isUnderWay || known.given === known.outcome)) return known.write;
    const write = this.#writeNow(seq);
    if (known) known.write = write;
    return write;
  }

  async #writeNow(seq: number): Promise<Written | undefined | null> {
    let given: FirstOutcome | null = null;
    const prepare = (): TaskRow | null => {
      const pending = this.#pending.get(seq);
      const row = pending && this.#rowOrDrop(seq);
      if (!row) return null;
      given = pending.outcome;
      Object.assign(pending, { isUnderWay: true, given });
      return row;
    };
    try {
      const written = await this.#rows.write(prepare);
      if (written !== null) this.#wrote(seq, given);
      return written;
    } catch (error) {
      const pending = this.#pending.get(seq);
      if (pending) Object.assign(pending, { write: undefined, isUnderWay: false, isLate: true });
      throw error;
    }
  }

  #wrote(seq: number, given: FirstOutcome | null): void {
    const pending = this.#pending.get(seq);
    if (!pending) return;
    if (pending.outcome === given) this.#pending.delete(seq);
    else Object.assign(pending, { isUnderWay: false, hasRow: true });
    // D1 is there: what it was out for goes along.
    let [seen, late] = [0, 0];
    for (const [other, { isLate, write }] of this.#pending) {
      if (++seen > mostSeen || late === mostLate) break;
      if (!isLate) continue;
      late++;
      if (!write) this.#writeBeside(other);
    }
  }

  async #writeEnd(row: TaskRow): Promise<void> {
    await this.#rows.write(() => row);
    markWritten(this.#sql, row.task.id);
  }

  /** What fails is written later. */
  #writeBeside(seq: number): void {
    this.#write(seq).catch(() => undefined);
  }

  /** @returns undefined of a task that is not open any more. @throws StoredDataUnreadable, once. */
  #rowOrDrop(seq: number): TaskRow | undefined {
    let row: TaskRow | undefined;
    try {
      row = this.#rowOf(seq);
    } finally {
      if (!row) this.#pending.delete(seq);
    }
    return row;
  }

  #rowOf(seq: number): TaskRow | undefined {
    const [row] = this.#sql
      .exec<{ record: string | null }>("SELECT record FROM open_tasks WHERE seq = ?", seq)
      .toArray();
    if (row?.record == null) return undefined;
    const kept = readStored({ table: "open_tasks", field: "record", id: String(seq) }, keptTask, row.record);
    return { ...kept, outcome: this.#pending.get(seq)?.outcome ?? null };
  }
}

/** Waits for all of them. @throws what the first one threw, unless stored data could not be read. */
async function allReadable(writes: Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(writes))
    if (result.status === "rejected" && !(result.reason instanceof StoredDataUnreadable)) throw result.reason;
}

/** Tasks that D1 may lack: all after those that were written for sure, and those with an outcome that D1 did not take. */
function unwrittenRows(sql: SqlStorage): { seq: number; outcome: FirstOutcome | null }[] {
  const query =
    "SELECT seq, outcome FROM open_tasks WHERE record IS NOT NULL AND (seq > ? OR outcome IS NOT NULL) ORDER BY seq";
  // What cannot be read is written once more, or sent once more: neither makes a second task.
  const writtenSeq = unlessUnreadable(() => readState(sql).writtenSeq) ?? 0;
  return sql
    .exec<{ seq: number; outcome: string | null }>(query, writtenSeq)
    .toArray()
    .map(({ seq, outcome }) => {
      const place = { table: "open_tasks", field: "outcome", id: String(seq) };
      const read = () => (outcome === null ? null : readStored(place, keptOutcome, outcome));
      return { seq, outcome: unlessUnreadable(read) ?? null };
    });
}

function unlessUnreadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StoredDataUnreadable) return undefined;
    throw error;
  }
}
