/** JSON bodies, and the one error for whatever breaks a schema. */
import { createMiddleware } from "hono/factory";
import * as z from "zod";
import { ApiError } from "../errors.ts";
import { drain, readBody } from "./body.ts";
import type { AppContext, AppEnv } from "./context.ts";

/** So much of a refused body is read. */
const readBytes = 16 * 1_048_576;

const jsonType = "application/json";

/** Lets JSON of at most 64 KiB through to the schema behind it. */
export const jsonBody = createMiddleware<AppEnv>(async (c, next) => {
  const type = c.req.header("content-type") ?? "";
  const isJson = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type);
  const coding = c.req.header("content-encoding") ?? "identity";
  if (!isJson || coding.trim().toLowerCase() !== "identity") {
    await drain(c, readBytes);
    const rule = isJson
      ? "not be compressed: send no Content-Encoding."
      : "be JSON, with Content-Type: application/json.";
    throw new ApiError("unsupported_media_type", `The body must ${rule}`);
  }
  const text = await readText(c);
  const body = parseJson(text);
  c.set("body", body);
  const lossy = lossyPart(body, []);
  if (lossy) throw invalidRequest([lossy]);
  // The validator reads JSON from here alone. Hono keeps promises here, against its types.
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
 * Finds what JSON can say and no database keeps: half a surrogate pair, or a key that JavaScript takes for itself.
 * @returns the first such place only: a body full of them must not become a reply full of them.
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

function readText(c: AppContext): Promise<string> {
  return readBody(c, { mostBytes: 65_536, readBytes, maxMs: 30_000 }, ({ bytes }) => {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    } catch {
      throw new ApiError("invalid_json", "The body is not valid UTF-8.");
    }
  });
}

/** These keep the reply small, however many faults a body has. */
const maxProblems = 20;
const maxFieldCharacters = 200;

interface Problem {
  /** The top-level field that `param` names. */
  root: string;
  field: string;
  text: string;
}

/** Of what Zod finds: where, which rule, and names that no field has. */
export type Issue = Pick<z.core.$ZodIssue, "path" | "message"> & { keys?: string[] };

/**
 * Turns the issues of a schema into `invalid_request`: `param` is the first field, the message lists all of them.
 * @param issues Zod's, or ones of the same shape from checks that need more than the body.
 */
export function invalidRequest(issues: readonly Issue[]): ApiError {
  const problems = issues.flatMap(problemsOf);
  const listed = problems
    .slice(0, maxProblems)
    .map(({ field, text }) => (field ? `${field.slice(0, maxFieldCharacters)}: ${text}` : text));
  const rest = problems.length - listed.length;
  const message = [...listed, ...(rest > 0 ? [`and ${rest} more`] : [])].join("; ");
  return new ApiError("invalid_request", message, {
    param: problems[0]?.root.slice(0, maxFieldCharacters) || null,
  });
}

function problemsOf(issue: Issue): Problem[] {
  const path = issue.path.map(String);
  const field = path.join(".");
  if (!issue.keys) return [{ root: path[0] ?? "", field, text: issue.message }];
  return issue.keys.map((key) => ({
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

/** The broken rule, as the end of a sentence that starts with the field's name. A schema's own message comes before it. */
function ruleOf(issue: z.core.$ZodRawIssue): string {
  const { code, input, expected, origin, minimum, maximum, values } = issue as typeof issue & RuleFacts;
  const noun = origin === "string" ? " character" : origin === "array" ? " item" : "";
  const unit = (count: unknown) => (noun === "" || count === 1 ? noun : `${noun}s`);
  switch (code) {
    case "invalid_type":
      return input === undefined ? "is required" : `must be ${nouns[expected] ?? expected}`;
    case "invalid_value":
      return `must be ${values.length > 1 ? "one of " : ""}${values.join(", ")}`;
    case "too_small":
      return `must be at least ${minimum}${unit(minimum)}`;
    case "too_big":
      return `must be at most ${maximum}${unit(maximum)}`;
    default:
      return "is not what the document says";
  }
}

interface RuleFacts {
  expected: string;
  origin: string;
  minimum: number;
  maximum: number;
  values: unknown[];
}

z.config({ localeError: ruleOf });
