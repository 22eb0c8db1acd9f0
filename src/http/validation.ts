/** Reading a request's body within its bounds, and telling what is wrong with it. */
import { createMiddleware } from "hono/factory";
import type * as z from "zod";
import { ApiError } from "../errors.ts";
import type { AppEnv } from "./context.ts";

export const maxJsonBytes = 65_536;
/**
 * So much of a refused body is read on, so that the reply is not lost to a connection reset; one that takes longer is given
 * up.
 */
const jsonBounds: Bounds = { maxBytes: 16 * 1_048_576, maxMs: 30_000 };

const jsonType = "application/json";

/** Lets JSON of at most 64 KiB through to the schema behind it. */
export const jsonBody = createMiddleware<AppEnv>(async (c, next) => {
  const type = c.req.header("content-type") ?? "";
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    await readAll(c.req.raw.body, jsonBounds);
    throw new ApiError(
      "unsupported_media_type",
      "The body must be JSON, with Content-Type: application/json.",
    );
  }
  const coding = c.req.header("content-encoding") ?? "identity";
  if (coding.trim().toLowerCase() !== "identity") {
    await readAll(c.req.raw.body, jsonBounds);
    throw new ApiError(
      "unsupported_media_type",
      "The body must not be compressed: send no Content-Encoding.",
    );
  }
  const text = await readText(c.req.raw);
  const body = parseJson(text);
  c.set("body", body);
  const lossy = lossyPart(body, []);
  if (lossy) throw invalidRequest([lossy]);
  // Where the validator finds it, which reads JSON under one name only. Hono keeps promises here, whatever its types say.
  c.req.bodyCache.text = Promise.resolve(text) as unknown as string;
  if (type !== jsonType) {
    const headers = new Headers(c.req.raw.headers);
    headers.set("content-type", jsonType);
    c.req.raw = new Request(c.req.raw, { body: text, headers });
  }
  await next();
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("invalid_json", "The body is not valid JSON.");
  }
}

/** No field of any request is nested deeper than a few levels. */
const maxDepth = 16;

/**
 * What JSON can say and no database keeps: half a surrogate pair, and a key that JavaScript takes for itself.
 * @returns the first such place; one is enough, and a body full of them must not become a reply full of them.
 */
export function lossyPart(value: unknown, path: string[]): Issue | undefined {
  if (typeof value === "string") {
    return value.isWellFormed() ? undefined : { path, message: "must be well-formed Unicode" };
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (path.length > maxDepth) return { path: path.slice(0, 1), message: "is nested too deeply" };
  for (const [key, inner] of Object.entries(value)) {
    const wrong = key === "__proto__" || !key.isWellFormed();
    if (wrong) return { path: [...path, key], message: "is not a name that can be kept" };
    const found = lossyPart(inner, [...path, key]);
    if (found) return found;
  }
  return undefined;
}

async function readText(request: Request): Promise<string> {
  const length = request.headers.get("content-length");
  const isShort = length !== null && Number(length) <= maxJsonBytes;
  const bytes = isShort ? await readWhole(request, jsonBounds.maxMs) : await readChunks(request);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new ApiError("invalid_json", "The body is not valid UTF-8.");
  }
}

async function readChunks({ body }: Request): Promise<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  await readAll(body, jsonBounds, (chunk) => {
    size += chunk.byteLength;
    if (size <= maxJsonBytes) chunks.push(chunk);
  });
  if (size > maxJsonBytes) {
    throw new ApiError("body_too_large", `The body must be at most ${maxJsonBytes} bytes of JSON.`);
  }
  return new Blob(chunks).arrayBuffer();
}

/** Reads a body that says it is short, which HTTP holds it to (RFC 9112, 6.3), in one call instead of one a chunk. */
async function readWhole(request: Request, maxMs: number): Promise<ArrayBuffer> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), maxMs);
  });
  const read = await Promise.race([request.arrayBuffer().catch(() => "broken" as const), late]);
  clearTimeout(timer);
  if (read === "late") throw tooSlow(maxMs);
  if (read === "broken") throw brokenOff();
  return read;
}

// Nobody may be there to hear it, but it is no fault of the gateway's.
const brokenOff = () => new ApiError("invalid_request", "The body broke off before its end.");
const tooSlow = (maxMs: number) =>
  new ApiError("invalid_request", `The body took longer than ${maxMs / 1000} s.`);

export interface Bounds {
  maxBytes: number;
  maxMs: number;
}

/** Reads a body to its end, within bounds of size and time. */
export async function readAll(
  body: ReadableStream<Uint8Array> | null,
  { maxBytes, maxMs }: Bounds,
  take: (chunk: Uint8Array) => void = () => undefined,
): Promise<void> {
  if (!body) return;
  const reader = body.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    reader.cancel().catch(() => undefined);
  }, maxMs);
  let size = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      take(read.value);
      size += read.value.byteLength;
      if (size > maxBytes) {
        await reader.cancel();
        return;
      }
    }
  } catch {
    // A read that is cancelled while it waits fails, too.
    throw late ? tooSlow(maxMs) : brokenOff();
  } finally {
    clearTimeout(timer);
  }
  if (late) throw tooSlow(maxMs);
}

/** A reply stays small, whatever came. */
const maxProblems = 20;
const maxFieldCharacters = 200;

interface Problem {
  /** The top-level field that `param` names. */
  root: string;
  field: string;
  text: string;
}

export type Issue = Pick<z.core.$ZodIssue, "path" | "message"> & Partial<Record<keyof RuleFacts, unknown>>;

/** What Zod's issues may carry, beside path and message. */
interface RuleFacts {
  code: string;
  expected: string;
  origin: string;
  minimum: number;
  maximum: number;
  values: unknown[];
  keys: string[];
}

/**
 * Turns whatever breaks a schema into `invalid_request`: `param` is the first field, the text lists all.
 * @param issues Zod's, or ones of the same shape from checks that need more than the body.
 */
export function invalidRequest(issues: readonly Issue[]): ApiError {
  const problems = issues.flatMap(problemsOf);
  const told = problems
    .slice(0, maxProblems)
    .map(({ field, text }) => (field ? `${field.slice(0, maxFieldCharacters)}: ${text}` : text));
  const rest = problems.length - told.length;
  const message = [...told, ...(rest > 0 ? [`and ${rest} more`] : [])].join("; ");
  return new ApiError("invalid_request", message, {
    param: problems[0]?.root.slice(0, maxFieldCharacters) || null,
  });
}

function problemsOf(issue: Issue): Problem[] {
  const path = issue.path.map(String);
  const field = path.join(".");
  const facts = issue as Partial<RuleFacts>;
  if (!facts.keys) return [{ root: path[0] ?? "", field, text: ruleOf(facts, issue.message) }];
  return facts.keys.map((key) => ({
    root: path[0] ?? key,
    field: field ? `${field}.${key}` : key,
    text: "is not a field of this request",
  }));
}

const nouns: Record<string, string> = {
  int: "an integer",
  number: "a number",
  string: "a string",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
};

const required = "is required";

/** The rule that is broken, as the end of a sentence that starts with the field's name. */
function ruleOf(
  { code, expected = "", origin = "", minimum, maximum, values }: Partial<RuleFacts>,
  message: string,
) {
  // A schema's own words tell more than its kind of rule does; Zod's begin otherwise.
  if (/^(?:is|must) /.test(message)) return message;
  const noun = origin === "string" ? " character" : origin === "array" ? " item" : "";
  const unit = (count: unknown) => (noun === "" || count === 1 ? noun : `${noun}s`);
  switch (code) {
    case "invalid_type":
      return message.endsWith("received undefined") ? required : `must be ${nouns[expected] ?? expected}`;
    case "invalid_value":
      return `must be ${(values?.length ?? 0) > 1 ? "one of " : ""}${values?.join(", ")}`;
    case "too_small":
      return `must be at least ${minimum}${unit(minimum)}`;
    case "too_big":
      return `must be at most ${maximum}${unit(maximum)}`;
    default:
      return message;
  }
}
