/**
 * Reading stored data. Each stored thing has one codec, made of the decoders below:
 *
 * - an absent field gets its default, so that data of an earlier version opens;
 * - a field that this version does not know stays, so that data of a later version survives a rollback;
 * - a value that cannot be read is a {@link StoredDataUnreadable}, raised where it is read.
 *
 * A value that fits is passed on as it is: nothing is copied but what gets a default.
 */

/** Where a value is stored. */
export interface StoredPlace {
  table: string;
  /** A column, and the path in its JSON. */
  field: string;
  /** Of the row; empty for a table of one row. */
  id: string;
}

/** Stored data that no default stands in for. It names the place and what belongs there, never the contents. */
export class StoredDataUnreadable extends Error {
  override name = "StoredDataUnreadable";
  readonly place: StoredPlace;
  /** What belongs there, as the end of a sentence. */
  readonly expected: string;

  constructor(place: StoredPlace, expected: string) {
    super(`stored data cannot be read: ${place.table} ${place.field} [${place.id}] must be ${expected}`);
    this.place = place;
    this.expected = expected;
  }

  /**
   * The error that a tenant's object has thrown, which loses its class on the way to a Worker.
   * @param owner Stands for an id that the object does not hold.
   */
  static from(error: unknown, owner: string): StoredDataUnreadable | undefined {
    const message = error instanceof Error ? error.message : "";
    const [, table, field, id, expected] =
      /stored data cannot be read: (\S+) (\S+) \[(.*?)\] must be (.*)$/.exec(message) ?? [];
    if (table === undefined || field === undefined || expected === undefined) return undefined;
    return new StoredDataUnreadable({ table, field, id: id || owner }, expected);
  }
}

/** Reads one value. @throws when the value does not fit. */
export type Decode<T> = (value: unknown) => T;

/** A value that does not fit, before its place is known. */
class Unfit extends Error {
  readonly expected: string;
  readonly path: readonly string[];

  constructor(expected: string, path: readonly string[] = []) {
    super(expected);
    this.expected = expected;
    this.path = path;
  }
}

function unfit(expected: string): never {
  throw new Unfit(expected);
}

/** Decodes a field; names the field in the error. */
function at<T>(name: string, decode: Decode<T>, value: unknown): T {
  try {
    return decode(value);
  } catch (error) {
    throw error instanceof Unfit ? new Unfit(error.expected, [name, ...error.path]) : error;
  }
}

export const text: Decode<string> = (value) => (typeof value === "string" ? value : unfit("a text"));

export const whole: Decode<number> = (value) =>
  Number.isSafeInteger(value) ? (value as number) : unfit("a whole number");

export const wholeFrom =
  (least: number): Decode<number> =>
  (value) =>
    whole(value) >= least ? (value as number) : unfit(`a whole number from ${least} on`);

export const yesOrNo: Decode<boolean> = (value) =>
  typeof value === "boolean" ? value : unfit("true or false");

/** SQLite's yes or no. */
export const bit: Decode<boolean> = (value) => (value === 1 || value === 0 ? value === 1 : unfit("0 or 1"));

/** A word that decides something. */
export const oneOf =
  <Word extends string>(words: readonly Word[]): Decode<Word> =>
  (value) =>
    words.includes(value as Word) ? (value as Word) : unfit(`one of ${words.join(", ")}`);

/** A word that is only passed on, such as a model that is no longer offered. */
export const word = <Word extends string>(): Decode<Word> => text as Decode<Word>;

export const orNull =
  <T>(decode: Decode<T>): Decode<T | null> =>
  (value) =>
    value === null ? null : decode(value);

/** What is absent stays absent. */
export const optional =
  <T>(decode: Decode<T>): Decode<T> =>
  (value) =>
    value === undefined ? (value as T) : decode(value);

export const withDefault =
  <T>(decode: Decode<T>, fallback: T): Decode<T> =>
  (value) =>
    value === undefined ? fallback : decode(value);

/** A list, which is copied only from the first item on that gets a default. */
export const list =
  <T>(item: Decode<T>): Decode<T[]> =>
  (value) => {
    if (!Array.isArray(value)) return unfit("a list");
    let read: unknown[] = value;
    for (let i = 0; i < value.length; i++) {
      const one = at(String(i), item, value[i]);
      if (one === value[i]) continue;
      if (read === value) read = [...value];
      read[i] = one;
    }
    return read as T[];
  };

/** A list with a place for each value. What is added goes to the end: absent from older lists, it has its default. */
export const places =
  <T extends readonly unknown[]>(...decodes: { readonly [Place in keyof T]: Decode<T[Place]> }): Decode<T> =>
  (value) => {
    if (!Array.isArray(value)) return unfit("a list");
    return (decodes as readonly Decode<unknown>[]).map((decode, i) =>
      at(String(i), decode, value[i]),
    ) as unknown as T;
  };

/** A list of words without those that this version does not know: they allow nothing. */
export const knownOf =
  <Word extends string>(words: readonly Word[]): Decode<Word[]> =>
  (value) => {
    const read = list(text)(value) as Word[];
    return read.every((one) => words.includes(one)) ? read : read.filter((one) => words.includes(one));
  };

function objectOf(value: unknown): Record<string, unknown> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : unfit("an object");
}

/** Values by name, all of one kind. */
export const mapOf =
  <T>(item: Decode<T>): Decode<Record<string, T>> =>
  (value) => {
    const source = objectOf(value);
    for (const name of Object.keys(source)) at(name, item, source[name]);
    return source as Record<string, T>;
  };

export type Fields<T> = { readonly [Name in keyof T]-?: Decode<T[Name]> };

export function record<T extends object>(fields: Fields<T>): Decode<T> {
  const entries = Object.entries(fields) as [string, Decode<unknown>][];
  return (value) => {
    const source = objectOf(value);
    let read = source;
    for (const [name, decode] of entries) {
      const one = at(name, decode, source[name]);
      if (one === source[name]) continue;
      if (read === source) read = { ...source };
      read[name] = one;
    }
    return read as T;
  };
}

/** Fields of which each has a default; a field without one is required. */
export function withDefaults<T extends object>(defaults: NoInfer<Partial<T>>, fields: Fields<T>): Fields<T> {
  const entries = Object.entries(fields) as [keyof T & string, Decode<unknown>][];
  return Object.fromEntries(
    entries.map(([name, decode]) => [
      name,
      name in defaults ? withDefault(decode, defaults[name] as unknown) : decode,
    ]),
  ) as Fields<T>;
}

/** A text of JSON. */
export const json =
  <T>(decode: Decode<T>): Decode<T> =>
  (value) => {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text(value));
    } catch {
      return unfit("JSON");
    }
    return decode(parsed);
  };

/** Reads what is stored at a place. @throws StoredDataUnreadable */
export function readStored<T>(place: StoredPlace, decode: Decode<T>, value: unknown): T {
  try {
    return decode(value);
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    const field = [place.field, ...error.path].filter((name) => name !== "").join(".");
    throw new StoredDataUnreadable({ ...place, field }, error.expected);
  }
}

/** A column by its name, its decoder, and the SQL that computes it where it is no column of the table. */
type Column<T> = readonly [name: string, decode: Decode<T>, sql?: string];
export type Columns<T> = { readonly [Name in keyof T]-?: Column<T[Name]> };

export interface RowCodec<T> {
  /** The columns, as SQL selects and returns them. */
  columns: string;
  /** @throws StoredDataUnreadable */
  read: (row: unknown) => T;
}

/** The codec of a table's rows, or of some of their columns. @param id The column that names a row. */
export function rowCodec<T extends object>(table: string, columns: Columns<T>, id = "id"): RowCodec<T> {
  const entries = Object.entries(columns) as [string, Column<unknown>][];
  const decode = (row: unknown) => {
    const source = objectOf(row);
    const read: Record<string, unknown> = {};
    for (const [property, [name, column]] of entries) read[property] = at(name, column, source[name]);
    return read as T;
  };
  return {
    columns: entries.map(([, [name, , sql]]) => (sql === undefined ? name : `${sql} AS ${name}`)).join(", "),
    read: (row) =>
      readStored({ table, field: "", id: String((row as Record<string, unknown>)[id] ?? "") }, decode, row),
  };
}

/** Takes note of a row that a sweep leaves out. */
export type SkipUnreadable = (problem: StoredDataUnreadable) => void;

/**
 * Reads rows of a sweep, in which one unreadable row must not stop the others.
 * @param skip Absent: it stops them.
 * @throws StoredDataUnreadable
 */
export function readable<Row, T>(rows: readonly Row[], read: (row: Row) => T, skip?: SkipUnreadable): T[] {
  return rows.flatMap((row) => {
    try {
      return [read(row)];
    } catch (error) {
      if (!skip || !(error instanceof StoredDataUnreadable)) throw error;
      skip(error);
      return [];
    }
  });
}
