/**
 * A part of a tenant's archive: rows of tasks that have ended, as D1 had them, oldest first, in one compressed object. A row
 * is kept as it is, whether or not this version can read it.
 */
import { gunzip, gzip } from "./gzip.ts";
import { idTimeMs } from "./ids.ts";
import { sha256Hex } from "./signing.ts";

/** A row of `tasks`: the columns that there were when it was archived. */
export type ArchivedRow = Record<string, string | number | null> & { id: string };

/** A part, as it is found. Versions of it have the same oldest and newest task, and each an object of its own. */
export interface TaskPart {
  tenantId: string;
  firstId: string;
  lastId: string;
  key: string;
}

/** And what it is found by. */
export interface MadePart extends TaskPart {
  tasks: number;
  oldestTextId: string | null;
  idTags: string;
  endUserTags: string;
}

/** A part that is not full waits for so long to be. */
export const partWaitsMs = 30 * 86_400_000;
/** A part's tasks are of so long a time at the most. */
export const longestPartMs = 40 * 86_400_000;

/**
 * What the keys of all versions of a part begin with. Behind it come random characters, so that none can be guessed: a bucket may
 * have a domain.
 */
export function keyPrefix(tenantId: string, lastId: string): string {
  const month = new Date(idTimeMs("task", lastId) ?? 0).toISOString().slice(0, 7);
  return `archive/${tenantId}/${month}/${lastId}-`;
}
export const keyEnd = ".ndjson.gz";

/** Of which part an object is a version, by its key. */
export function ofKey(key: string): Pick<TaskPart, "tenantId" | "lastId"> {
  const [, tenantId = "", , name = ""] = key.split("/");
  return { tenantId, lastId: name.slice(0, name.lastIndexOf("-")) };
}

const tagCharacters = 4;

/** What a part is found by without its tenant: four of a task's random characters, which one in a million shares. */
export const idTag = (id: string): string => `,${id.slice(-tagCharacters)}`;

/** What a part is found by, of an end user. */
export async function endUserTag(endUser: string): Promise<string> {
  return `,${(await sha256Hex(endUser)).slice(0, tagCharacters)}`;
}

const isRow = (row: unknown): row is ArchivedRow =>
  typeof row === "object" && row !== null && typeof (row as ArchivedRow).id === "string";

const inOrder = (rows: ArchivedRow[]) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** What rows make a part, at least one of them. */
export async function partOf(tenantId: string, key: string, rows: ArchivedRow[]): Promise<MadePart> {
  const sorted = inOrder(rows);
  const withText = sorted.filter(({ erasure }) => erasure === "none");
  const endUsers = new Set(sorted.flatMap(({ end_user: one }) => (typeof one === "string" ? [one] : [])));
  const endUserTags = await Promise.all([...endUsers].map(endUserTag));
  return {
    ...{ tenantId, key, tasks: sorted.length },
    firstId: sorted[0]?.id ?? "",
    lastId: sorted.at(-1)?.id ?? "",
    oldestTextId: withText[0]?.id ?? null,
    idTags: sorted.map(({ id }) => idTag(id)).join(""),
    endUserTags: endUserTags.join(""),
  };
}

/** The bytes of a part's object. */
export function partBytes(rows: ArchivedRow[]): Promise<ArrayBuffer> {
  return gzip(
    inOrder(rows)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(""),
  );
}

/** @returns the rows of a part, oldest first; undefined when its bytes are none. */
export async function readTaskPart(bytes: ArrayBuffer): Promise<ArchivedRow[] | undefined> {
  const text = await gunzip(bytes);
  if (text === undefined) return undefined;
  try {
    const rows = text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    return rows.every(isRow) ? rows : undefined;
  } catch {
    return undefined;
  }
}

/** A row without its text. The number of images asked for stays, and what became of it: it was charged. */
export function redactedRow(row: ArchivedRow, erasure: "pending" | "done"): ArchivedRow {
  return {
    ...row,
    erasure,
    version: Number(row.version) + 1,
    metadata: "{}",
    end_user: null,
    input: JSON.stringify({ prompt: "", n: imagesAsked(row.input) }),
  };
}

function imagesAsked(input: unknown): number {
  try {
    const { n } = JSON.parse(String(input));
    return Number.isSafeInteger(n) ? n : 1;
  } catch {
    return 1;
  }
}
