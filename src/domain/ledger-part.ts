/**
 * A part of a tenant's ledger that is closed: its lines in R2, in the order of their numbers, compressed. The first row of its
 * text names the part and has the hash of the one before, so that the parts are a chain: none can be changed, left out or
 * put elsewhere without the hashes of all later ones.
 */
import { canonical } from "./canonical.ts";
import { gunzip, gzip } from "./gzip.ts";
import { type LedgerLine, lineTypes } from "./ledger-lines.ts";
import { sha256Hex } from "./signing.ts";
import { oneOf, orNull, readStored, record, text, whole } from "./stored.ts";

/** What a tenant's object keeps of a part. Sums are of the whole ledger up to the part's end: a checkpoint. */
export interface LedgerPart {
  /** Counted from 1. */
  number: number;
  /** Where it is in R2. It cannot be guessed. */
  key: string;
  /** It has the lines after one number, up to another. */
  afterSeq: number;
  upToSeq: number;
  /** The times of its earliest and its latest line, unix milliseconds. */
  fromMs: number;
  toMs: number;
  lines: number;
  /** Credits ever credited, corrections included, and ever charged. */
  credited: number;
  charged: number;
  /** Held after its last line. */
  held: number;
  /** SHA-256 of its text. */
  sha256: string;
}

/** What a ledger begins with. */
export const beforeFirstPart = { number: 0, upToSeq: 0, credited: 0, charged: 0, held: 0, sha256: "" };
/** What a part follows. */
export type PartBefore = Pick<LedgerPart, keyof typeof beforeFirstPart>;

/** What a line does to the balance, and to what is held, per credit. */
const effects: Record<LedgerLine["type"], { credited?: 1; charged?: 1; held?: 1 | -1 }> = {
  topup: { credited: 1 },
  refund: { credited: 1 },
  adjustment: { credited: 1 },
  hold: { held: 1 },
  charge: { charged: 1, held: -1 },
  release: { held: -1 },
};

type Sums = Pick<LedgerPart, "credited" | "charged" | "held">;

export function addLine(sums: Sums, { type, amount }: Pick<LedgerLine, "type" | "amount">): Sums {
  const { credited = 0, charged = 0, held = 0 } = effects[type];
  return {
    credited: sums.credited + credited * amount,
    charged: sums.charged + charged * amount,
    held: sums.held + held * amount,
  };
}

/** @param lines In the order of their numbers, at least one. */
export async function makePart(
  tenantId: string,
  before: PartBefore,
  { key, upToSeq }: Pick<LedgerPart, "key" | "upToSeq">,
  lines: LedgerLine[],
): Promise<{ part: LedgerPart; bytes: ArrayBuffer }> {
  const place = { number: before.number + 1, afterSeq: before.upToSeq, upToSeq };
  const rows = lines.map((line) => JSON.stringify(line));
  const made = [JSON.stringify({ tenant: tenantId, ...headOf(place, before) }), ...rows]
    .map((row) => `${row}\n`)
    .join("");
  const times = lines.map(({ atMs }) => atMs);
  const sums = lines.reduce<Sums>(addLine, before);
  const part = {
    ...{ ...place, key, lines: lines.length, sha256: await sha256Hex(made) },
    fromMs: times.reduce((a, b) => Math.min(a, b)),
    toMs: times.reduce((a, b) => Math.max(a, b)),
    ...{ credited: sums.credited, charged: sums.charged, held: sums.held },
  };
  return { part, bytes: await gzip(made) };
}

type PartPlace = Pick<LedgerPart, "number" | "afterSeq" | "upToSeq">;

/** What the first row says, beside whose ledger it is: that is for people, and empty where the platform does not say. */
function headOf({ number, afterSeq, upToSeq }: PartPlace, { sha256 }: PartBefore) {
  return { number, afterSeq, upToSeq, previous: sha256 };
}

const ledgerLine = record<LedgerLine>({
  seq: whole,
  atMs: whole,
  type: oneOf(lineTypes),
  amount: whole,
  taskId: orNull(text),
  reference: orNull(text),
  note: orNull(text),
  balance: whole,
  held: whole,
});

/** The text of a part is not the one that was written. */
export class PartChanged extends Error {
  override name = "PartChanged";
}

/** @returns its lines, in the order of their numbers. @throws PartChanged, StoredDataUnreadable */
export async function readPart(part: LedgerPart, bytes: ArrayBuffer): Promise<LedgerLine[]> {
  return (await opened(part, bytes)).lines;
}

async function opened(part: LedgerPart, bytes: ArrayBuffer) {
  const made = await gunzip(bytes);
  if (made === undefined || (await sha256Hex(made)) !== part.sha256)
    throw new PartChanged(`part ${part.number} of a ledger is not what was written`);
  const [head = "", ...rows] = made.split("\n").slice(0, -1);
  const lines = rows.map((row, i) =>
    readStored({ table: "ledger", field: String(i), id: String(part.number) }, ledgerLine, JSON.parse(row)),
  );
  return { head, lines };
}

/**
 * Whether a part is what its tenant's object says of it, follows the part before, and adds up line by line.
 * @returns what is wrong, in words; empty when nothing is.
 * @throws StoredDataUnreadable
 */
export async function verifyPart(
  part: LedgerPart,
  before: PartBefore,
  bytes: ArrayBuffer,
): Promise<string[]> {
  const read = await opened(part, bytes).catch((error: unknown) => {
    if (error instanceof PartChanged) return undefined;
    throw error;
  });
  if (!read) return ["is not what was written"];
  const { lines } = read;
  const { tenant: _whose, ...head } = JSON.parse(read.head);
  const follows =
    canonical(head) === canonical(headOf(part, before)) ? [] : ["does not follow the part before it"];
  return [...follows, ...problemsOf(lines, part, before)];
}

function problemsOf(lines: LedgerLine[], part: LedgerPart, before: PartBefore): string[] {
  let sums: Sums = before;
  for (const line of lines) {
    sums = addLine(sums, line);
    if (line.balance !== sums.credited - sums.charged || line.held !== sums.held)
      return [`does not add up at line ${line.seq}`];
  }
  const same = (["credited", "charged", "held"] as const).every((name) => sums[name] === part[name]);
  return same && lines.length === part.lines ? [] : ["has other sums than its tenant's object"];
}
