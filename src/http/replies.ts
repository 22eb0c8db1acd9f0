/** The parts of replies that operations share: schemas and errors for the OpenAPI document, and the headers of limits. */
import * as z from "zod";
import type { PolicyState } from "../domain/admission.ts";
import { documented } from "../domain/documented.ts";
import {
  chargedWords,
  type ErrorCode,
  errorCodes,
  errorStatus,
  neverRetry,
  saysWhenToRetry,
} from "../errors.ts";
import type { AppContext } from "./context.ts";
import { headers, type ReplyHeader } from "./reply-headers.ts";

export const errorEnvelope = documented(() =>
  z
    .object({
      error: z.object({
        code: z.enum(errorCodes),
        message: z.string(),
        type: z.string(),
        param: z.string().nullable().meta({ description: "The first field that breaks its rule." }),
        retryable: z.boolean(),
        charged: z.enum(chargedWords).meta({
          description:
            "`unknown`: look where the message says before you try again: at the task of `x-task-id`, or the ledger.",
        }),
      }),
      request_id: z.string(),
    })
    .meta({ id: "Error", description: "The one envelope of all errors." }),
);

/** A page of a list. */
export const listReply = <Item extends z.ZodType>(item: Item) =>
  z.object({ object: z.literal("list"), data: z.array(item), next_cursor: z.string().nullable() });

/** A JSON body, for a contract. */
export const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

/** The headers of an error, beside those of every reply. */
function headersOf(code: ErrorCode): ReplyHeader[] {
  const status = errorStatus(code);
  return [
    ...(status === 401 ? (["www-authenticate"] as const) : []),
    ...(status === 405 ? (["allow"] as const) : []),
    ...(status === 416 ? (["content-range"] as const) : []),
    ...(code === "unavailable" ? (["x-task-id"] as const) : []),
    ...(saysWhenToRetry(code) ? (["retry-after"] as const) : []),
    ...(neverRetry(code) ? (["x-should-retry"] as const) : []),
  ];
}

/** The error replies of an operation, for its contract: one a status, which names its codes. */
export function errorReplies(...codes: ErrorCode[]) {
  const always: ErrorCode[] = ["internal_error", "misconfigured"];
  const byStatus = Map.groupBy([...codes, ...always], errorStatus);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        description: group.map((code) => `\`${code}\``).join(", "),
        content: {
          "application/json": {
            schema: errorEnvelope,
            examples: Object.fromEntries(
              group.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
            ),
          },
        },
        headers: headers(...new Set(group.flatMap(headersOf))),
      },
    ]),
  );
}

/** Codes that every operation behind a tenant's key can answer with. */
export const keyErrors = [
  "invalid_request",
  "missing_key",
  "invalid_key",
  "secret_key_in_browser",
  "origin_not_allowed",
  "scope_denied",
  "tenant_suspended",
  "rate_limited",
  "migrations_missing",
  "unavailable",
] as const satisfies ErrorCode[];

/** Codes that every operation behind a key, with a JSON body, can answer with besides. */
export const bodyErrors = [
  "invalid_json",
  "body_too_large",
  "unsupported_media_type",
] as const satisfies ErrorCode[];

/** Puts them on whatever the reply will be: the limits counted the request before it is known. */
export function setLimitHeaders(c: AppContext, policies: readonly PolicyState[]): void {
  for (const [name, value] of Object.entries(limitHeaders(policies))) c.header(name, value);
}

/**
 * The headers that show the limits in force: those of draft-ietf-httpapi-ratelimit-headers-10, as structured fields
 * (RFC 9651), and the older ones that OpenAI's clients read. Tasks in flight have no window.
 */
export function limitHeaders(policies: readonly PolicyState[]): Record<string, string> {
  if (policies.length === 0) return {};
  const requests = policies.find((policy) => policy.name === "requests");
  const parameter = (name: string, value: number | undefined) =>
    value === undefined ? "" : `;${name}=${value}`;
  return {
    "ratelimit-policy": policies
      .map(({ name, limit, windowSeconds }) => `"${name}";q=${limit}${parameter("w", windowSeconds)}`)
      .join(", "),
    ratelimit: policies
      .map(({ name, remaining, resetSeconds }) => `"${name}";r=${remaining}${parameter("t", resetSeconds)}`)
      .join(", "),
    ...(requests && {
      "x-ratelimit-limit-requests": String(requests.limit),
      "x-ratelimit-remaining-requests": String(requests.remaining),
      "x-ratelimit-reset-requests": String(requests.resetSeconds ?? 0),
    }),
  };
}
