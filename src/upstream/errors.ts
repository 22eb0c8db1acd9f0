/**
 * What the upstream's errors mean here. It has hundreds of codes, as words and as numbers, and adds more;
 * one table of the known ones, and the status for the rest.
 */
import * as z from "zod";
import type { TaskFailureCode } from "../domain/failures.ts";

const moderationWords = [
  "content_policy_violation",
  "content_filter",
  "sensitive_content",
  "moderation_blocked",
  "input_moderation_failed",
];

/** The gateway's codes for a submit that was definitely refused, with the upstream's words for each. */
const refusalWords = {
  content_policy_violation: moderationWords,
  invalid_media_url: ["invalid_media_url"],
  invalid_parameters: [
    "invalid_request",
    "invalid_parameter",
    "invalid_parameters",
    "unsupported_parameters",
    "request_too_large",
  ],
  upstream_rejected: [
    // The operator's key.
    "unauthorized",
    "invalid_token",
    "key_disabled",
    "key_expired",
    "user_disabled",
    "ip_restricted",
    "model_access_denied",
    "key_model_not_allowed",
    "permission_denied",
    // The operator's balance.
    "insufficient_quota",
    "insufficient_user_quota",
    "quota_not_enough",
    "account_balance_insufficient",
    "insufficient_token_quota",
    "key_quota_exhausted",
    "token_daily_quota_exceeded",
    "key_daily_quota_exhausted",
    "quota_exceeded",
  ],
} satisfies Record<string, string[]>;

/** Why a submit was definitely refused: through the caller's fault, or through the operator's account. */
export type RefusalCode = keyof typeof refusalWords;
export const refusalCodes = Object.keys(refusalWords) as RefusalCode[];

const refusalByWord = byWord<RefusalCode>(refusalWords);

const refusalStatuses: Record<number, RefusalCode> = {
  400: "invalid_parameters",
  413: "invalid_parameters",
  422: "invalid_parameters",
  401: "upstream_rejected",
  402: "upstream_rejected",
  403: "upstream_rejected",
};

const errorBody = z.object({
  error: z.union([z.string(), z.object({ code: z.union([z.string(), z.number()]).nullish() })]),
});

/**
 * Reads the reply to a submit that is neither a success nor a 429.
 * @returns undefined when the reply does not prove that the task was not taken.
 */
export function readRefusal(status: number, body: unknown): RefusalCode | undefined {
  const byStatus = refusalStatuses[status];
  if (!byStatus) return undefined;
  // The page of a firewall between, whose outage must not become the callers' error.
  if (status === 403 && body === undefined) return undefined;
  const parsed = errorBody.safeParse(body);
  const error = parsed.success ? parsed.data.error : undefined;
  const code = typeof error === "object" ? error.code : error;
  return refusalByWord.get(String(code ?? "")) ?? byStatus;
}

const failureByWord = byWord<TaskFailureCode>({
  content_policy_violation: moderationWords,
  invalid_parameters: ["invalid_parameters"],
  image_processing_error: ["image_processing_error"],
  image_dimension_mismatch: ["image_dimension_mismatch"],
  generation_failed_no_content: ["generation_failed_no_content"],
  generation_timeout: ["generation_timeout"],
  unknown_error: ["unknown_error", "request_cancelled", "resource_not_found"],
});

/** The gateway's code for a failed task; unseen codes are the service's own trouble. */
export function readFailure(code: string | number | null | undefined): TaskFailureCode {
  if (code === null || code === undefined || code === "") return "unknown_error";
  return failureByWord.get(String(code)) ?? "service_unavailable";
}

/** `Retry-After` (RFC 9110, 10.2.3) as milliseconds from now; null when absent or nonsense. */
export function readRetryAfterMs(headers: Headers, nowMs: number): number | null {
  const text = headers.get("retry-after")?.trim();
  if (!text) return null;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const atMs = parseHttpDate(text);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}

/** A date in one of HTTP's three forms (RFC 9110, 5.6.7), and in no other: `Date.parse` takes "-5" for a year. */
function parseHttpDate(text: string): number {
  if (/^[A-Z][a-z]+, .+ GMT$/.test(text)) return Date.parse(text);
  const isAsctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/.test(text);
  return isAsctime ? Date.parse(`${text} GMT`) : Number.NaN;
}

function byWord<Code extends string>(words: Partial<Record<Code, string[]>>): Map<string, Code> {
  const entries = Object.entries(words) as [Code, string[]][];
  return new Map(entries.flatMap(([code, list]) => list.map((word) => [word, code])));
}
