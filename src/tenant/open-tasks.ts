/**
 * The tasks of a tenant's object that have not ended, each with the hold that its admission made, and the codec of
 * `open_tasks`. A task's row goes when its hold is settled; the ledger's entry of that carries what has to stay.
 */
import { bit, orNull, readable, rowCodec, type SkipUnreadable, text, whole } from "../domain/stored.ts";
import { stateText, type TenantState } from "./tenant-state.ts";

export interface OpenTask {
  /** The number of its hold. */
  seq: number;
  taskId: string;
  keyId: string;
  tokenId: string | null;
  /** When it was admitted. */
  atMs: number;
  /** The UTC day that its images are counted on. */
  date: string;
  images: number;
  /** Credits per image, as of the admission. */
  price: number;
  /** Of the account, after the hold. */
  balance: number;
  held: number;
  /** What a replay is found by, and what it must be equal to. */
  replay: string | null;
  fingerprint: string | null;
  /** Which retry was last answered with its task. */
  answered: number;
  /** Names the network address that it came from, of a page's visitor. */
  address: string | null;
}

const openTask = rowCodec<OpenTask>(
  "open_tasks",
  {
    seq: ["seq", whole],
    taskId: ["task_id", text],
    keyId: ["key_id", text],
    tokenId: ["token_id", orNull(text)],
    atMs: ["at_ms", whole],
    date: ["date", text],
    images: ["images", whole],
    price: ["price", whole],
    balance: ["balance", whole],
    held: ["held", whole],
    replay: ["replay", orNull(text)],
    fingerprint: ["fingerprint", orNull(text)],
    answered: ["answered", whole],
    address: ["address", orNull(text)],
  },
  "seq",
);

/** Reads open tasks. @param rest What follows `FROM open_tasks`. @throws StoredDataUnreadable */
export function selectOpenTasks(sql: SqlStorage, rest: string, ...values: SqlStorageValue[]): OpenTask[] {
  return sql
    .exec(`SELECT ${openTask.columns} FROM open_tasks ${rest}`, ...values)
    .toArray()
    .map(openTask.read);
}

/**
 * @param record What D1 is to have of the task.
 * @param state As it is with the task.
 */
export function insertOpenTask(sql: SqlStorage, task: OpenTask, record: string, state: TenantState): void {
  sql.exec(
    `INSERT INTO open_tasks (${openTask.columns}, record, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    task.seq,
    task.taskId,
    task.keyId,
    task.tokenId,
    task.atMs,
    task.date,
    task.images,
    task.price,
    task.balance,
    task.held,
    task.replay,
    task.fingerprint,
    task.answered,
    task.address,
    record,
    stateText(state),
  );
}

export function findOpenTask(sql: SqlStorage, seq: number): OpenTask | undefined {
  return selectOpenTasks(sql, "WHERE seq = ?", seq)[0];
}

/** Notes that a replay has got a task: its end is not hidden any more. */
export function markShown(sql: SqlStorage, seq: number): void {
  sql.exec("UPDATE open_tasks SET is_shown = 1 WHERE seq = ? AND is_shown = 0", seq);
}

/** Takes a task over from its first sender, who cannot end it any more. @returns false when it is not open. */
export function takeOpenTask(sql: SqlStorage, seq: number, taskId: string): boolean {
  const taken = sql.exec("UPDATE open_tasks SET is_taken = 1 WHERE seq = ? AND task_id = ?", seq, taskId);
  return taken.rowsWritten > 0;
}

export function deleteOpenTask(sql: SqlStorage, seq: number): void {
  sql.exec("DELETE FROM open_tasks WHERE seq = ?", seq);
}

const oldTask = rowCodec<Pick<OpenTask, "seq" | "taskId"> & { hasRecord: boolean }>(
  "open_tasks",
  { seq: ["seq", whole], taskId: ["task_id", text], hasRecord: ["has_record", bit, "record IS NOT NULL"] },
  "seq",
);

/** Open tasks after a number that were admitted until `untilMs`, in order. One that cannot be read is left out. */
export function oldOpenTasks(sql: SqlStorage, afterSeq: number, untilMs: number, limit: number) {
  const rows = sql
    .exec(
      `SELECT ${oldTask.columns} FROM open_tasks WHERE seq > ? AND at_ms <= ? ORDER BY seq LIMIT ?`,
      afterSeq,
      untilMs,
      limit,
    )
    .toArray();
  return readable(rows, oldTask.read, () => undefined);
}

/** Open tasks of a range of numbers, in order. @param skip Takes note of those that cannot be read, which are left out. */
export function openTasksBetween(
  sql: SqlStorage,
  afterSeq: number,
  upToSeq: number,
  skip: SkipUnreadable = () => undefined,
): OpenTask[] {
  const rows = sql
    .exec(
      `SELECT ${openTask.columns} FROM open_tasks WHERE seq > ? AND seq <= ? ORDER BY seq`,
      afterSeq,
      upToSeq,
    )
    .toArray();
  return readable(rows, openTask.read, skip);
}

/** When the newest open task was admitted; 0 when none is open. */
export function newestAtMs(sql: SqlStorage): number {
  const [row] = sql.exec("SELECT at_ms FROM open_tasks ORDER BY seq DESC LIMIT 1").toArray();
  return Number(row?.at_ms ?? 0);
}

/** The number of the task that is open for longest; `otherwise` when none is. */
export function oldestOpen(sql: SqlStorage, otherwise: number): number {
  return Number(sql.exec("SELECT coalesce(min(seq), ?) AS seq FROM open_tasks", otherwise).one().seq);
}
