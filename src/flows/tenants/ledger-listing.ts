/**
 * Reading a tenant's ledger, newest first: first what its object has, then the parts that are closed, out of R2. Where the
 * ledger is closed in between, lines are in both for a reader, who goes on below the last number that it has.
 */
import { idTimeMs } from "../../domain/ids.ts";
import { clocksDifferMs, type LedgerLine, lineNumber, rowsBefore } from "../../domain/ledger-lines.ts";
import { type LedgerPart, readPart } from "../../domain/ledger-part.ts";
import { BindingUnavailable, callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";

export interface LedgerListQuery {
  /** Inclusive, unix milliseconds. */
  fromMs: number;
  /** Exclusive. */
  toMs: number;
  taskId: string | null;
  /** {@link lineNumber} of the last line of the page before; null: from the newest on. */
  before: number | null;
}

/** Lines, newest first, and the number of the line that all others are before. */
interface Chunk {
  lines: LedgerLine[];
  before: number | null;
  isOfPart: boolean;
}

/** Parts that one page is read of: some megabytes each. */
const partsAPage = 4;

/**
 * Reads up to `limit` lines.
 * @returns `next`: the number that further lines are before; null: there are none. A page may have fewer lines, or none.
 */
export async function listLedger(
  invocation: Invocation,
  tenantId: string,
  query: LedgerListQuery & { limit: number },
): Promise<{ lines: LedgerLine[]; next: number | null }> {
  const { limit } = query;
  const lines: LedgerLine[] = [];
  let parts = 0;
  for await (const chunk of ledgerChunks(invocation, tenantId, query, limit)) {
    lines.push(...chunk.lines);
    const last = lines.at(limit - 1);
    if (lines.length > limit && last) return { lines: lines.slice(0, limit), next: lineNumber(last) };
    if (chunk.isOfPart && ++parts === partsAPage) return { lines, next: chunk.before };
  }
  return { lines, next: null };
}

const rowsAtOnce = 1_000;

/** Reads all lines of a period, however many there are. */
export async function* ledgerPages(
  invocation: Invocation,
  tenantId: string,
  query: Omit<LedgerListQuery, "before">,
): AsyncGenerator<LedgerLine[]> {
  for await (const { lines } of ledgerChunks(invocation, tenantId, { ...query, before: null }, rowsAtOnce))
    if (lines.length > 0) yield lines;
}

async function* ledgerChunks(
  invocation: Invocation,
  tenantId: string,
  query: LedgerListQuery,
  rows: number,
): AsyncGenerator<Chunk> {
  const { taskId, fromMs, toMs } = query;
  const isAsked = (line: LedgerLine) => line.atMs >= fromMs && line.atMs < toMs && isBefore(line, before);
  let { before } = query;
  if (taskId !== null) {
    const lines = (await linesOfTask(invocation, tenantId, taskId)).filter(isAsked);
    yield { lines, before, isOfPart: false };
    return;
  }
  let isClosed = false;
  for (let more = true; more; ) {
    // One row more, since the first one may have been shown already, and another to know whether there is more.
    const asked = { fromMs, toMs, taskId, beforeSeq: rowsBefore(before), limit: rows + 2 };
    const page = await invocation.tenant(tenantId).ledgerPage(asked);
    const found = page.lines.filter((line) => isBefore(line, before));
    isClosed = page.isClosed;
    more = found.length > rows;
    const last = found.at(-1);
    before = last ? lineNumber(last) : before;
    yield { lines: found, before, isOfPart: false };
  }
  if (!isClosed) return;
  for await (const part of partsOf(invocation, tenantId, query, () => before)) {
    const lines = (await linesOf(invocation, part)).filter(isAsked).toReversed();
    before = lineNumber({ seq: part.afterSeq + 1, type: "hold" });
    yield { lines, before, isOfPart: true };
  }
}

function isBefore(line: LedgerLine, before: number | null): boolean {
  return before === null || lineNumber(line) < before;
}

const partsAtOnce = 20;

async function* partsOf(
  invocation: Invocation,
  tenantId: string,
  { fromMs, toMs }: LedgerListQuery,
  before: () => number | null,
): AsyncGenerator<LedgerPart> {
  for (let more = true; more; ) {
    const number = before();
    const beforeSeq = number === null ? Number.MAX_SAFE_INTEGER : Math.ceil(number / 2);
    const asked = { fromMs, toMs, beforeSeq, limit: partsAtOnce };
    const parts = await invocation.tenant(tenantId).closedParts(asked);
    yield* parts;
    more = parts.length === partsAtOnce;
  }
}

/** @throws BindingUnavailable when R2 does not answer, or lacks the part. */
export async function linesOf(invocation: Invocation, part: LedgerPart): Promise<LedgerLine[]> {
  const bytes = await callBinding("storage", async () =>
    (await invocation.bucket.get(part.key))?.arrayBuffer(),
  );
  if (bytes) return readPart(part, bytes);
  invocation.log({ event: "ledger_part_missing", level: "error", part: part.number });
  throw new BindingUnavailable("storage: a part of a ledger is missing");
}

/** The lines of one task, newest first: its hold, and its end some time after it. */
async function linesOfTask(invocation: Invocation, tenantId: string, taskId: string): Promise<LedgerLine[]> {
  const madeMs = idTimeMs("task", taskId);
  if (madeMs === undefined) return [];
  const fromMs = madeMs - clocksDifferMs;
  const toMs = Number.MAX_SAFE_INTEGER;
  const asked = { fromMs, toMs, taskId, beforeSeq: Number.MAX_SAFE_INTEGER, limit: 10 };
  const own = await invocation.tenant(tenantId).ledgerPage(asked);
  const lines = new Map(own.lines.map((line) => [lineNumber(line), line]));
  const has = (isHold: boolean) => [...lines.values()].some(({ type }) => (type === "hold") === isHold);
  for (let afterSeq = 0; own.isClosed && !(has(true) && has(false)); ) {
    const [part] = await invocation.tenant(tenantId).closedParts({
      fromMs,
      toMs,
      beforeSeq: Number.MAX_SAFE_INTEGER,
      afterSeq,
      isOldestFirst: true,
      limit: 1,
    });
    // Behind the time of its hold there is no end of a task that has none.
    if (!part || (!has(true) && part.fromMs > madeMs + clocksDifferMs)) break;
    for (const line of await linesOf(invocation, part))
      if (line.taskId === taskId) lines.set(lineNumber(line), line);
    afterSeq = part.upToSeq;
  }
  return [...lines.values()].toSorted((a, b) => lineNumber(b) - lineNumber(a));
}
