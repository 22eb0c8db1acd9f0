/**
 * Every id that the gateway makes, from one table: a prefix that says what the id names, and random
 * characters of Crockford's base 32 (5 bits each, no look-alikes, safe in URLs, headers and file names).
 */

export const idPrefixes = {
  /** Starts with the time, so that ids sort by age; then 105 random bits. */
  task: "task-",
  /** 130 random bits: the only thing that protects a picture's URL. */
  image: "img-",
  /** 130 random bits: all that protects an uploaded file's URL. */
  file: "file-",
  key: "key-",
  tenant: "t-",
  request: "req-",
  /** Of client tokens. */
  token: "tok-",
  /** Of the operator's and the tenants' changes; sorts by age. */
  auditEntry: "act-",
  /** Of webhooks. Those of a task are made of the task's id; both sort by age. */
  delivery: "msg-",
} as const;

export type IdKind = keyof typeof idPrefixes;

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const timeCharacters = 10;
const randomCharacters: Record<IdKind, number> = {
  task: 21,
  image: 26,
  file: 26,
  key: 16,
  tenant: 12,
  request: 20,
  token: 20,
  auditEntry: 16,
  delivery: 21,
};
const sortable: readonly IdKind[] = ["task", "auditEntry", "delivery"];

/** Characters of base 32 from random bytes, one byte a character, so that no bit is used twice. */
export function base32(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += alphabet[byte & 31];
  return text;
}

/** How many random bytes {@link formatId} needs for an id of this kind. */
export function randomBytesFor(kind: IdKind): number {
  return randomCharacters[kind];
}

/**
 * Makes an id.
 * @param nowMs Unix milliseconds; used by sortable kinds only.
 * @param random Exactly {@link randomBytesFor} bytes from a cryptographic source.
 */
export function formatId(kind: IdKind, nowMs: number, random: Uint8Array): string {
  const time = sortable.includes(kind) ? base32Time(nowMs) : "";
  return idPrefixes[kind] + time + base32(random);
}

function base32Time(nowMs: number): string {
  let text = "";
  let rest = nowMs;
  for (let i = 0; i < timeCharacters; i++) {
    text = alphabet[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** What sorts before every id of this kind that is made at `nowMs` or later, and after all earlier ones. */
export function idBound(kind: "task" | "auditEntry" | "delivery", nowMs: number): string {
  return idPrefixes[kind] + base32Time(Math.max(0, nowMs));
}

/** Behind every id of a task. */
export const behindAllTasks = "task-~";

/** Of two sortable ids of a kind, or bounds of them, the one that stands before the other. */
export function earlier(a: string, b: string): string {
  if (a < b) return a;
  return b;
}

/** When a sortable id was made, unix milliseconds; undefined for a text that is none of this kind. */
export function idTimeMs(kind: "task" | "auditEntry" | "delivery", id: string): number | undefined {
  const prefix = idPrefixes[kind];
  const digits = [...id.slice(prefix.length, prefix.length + timeCharacters)].map((one) =>
    alphabet.indexOf(one),
  );
  const isTime = id.startsWith(prefix) && digits.length === timeCharacters && !digits.includes(-1);
  return isTime ? digits.reduce((ms, digit) => ms * 32 + digit, 0) : undefined;
}

/** The tenant ids that an operator may choose: 3 to 32 of a-z, 0-9 and "-". */
export const tenantIdPattern = /^[a-z0-9-]{3,32}$/;

/** The form of a task's id; any other text names no task. */
export const taskIdPattern = /^task-[0-9a-z]{31}$/;

/** The form of an image's id; any other text names no image. */
export const imageIdPattern = /^img-[0-9a-z]{26}$/;

/** The form of a file's id; any other text names no file. */
export const fileIdPattern = /^file-[0-9a-z]{26}$/;
