/** What replies look like in the OpenAPI document, and the headers that several of them share. */
import * as z from "zod";
import type { PolicyState } from "../domain/admission.ts";
import { type TaskFailureCode, taskFailures } from "../domain/failures.ts";
import { models } from "../domain/models.ts";
import { imageExtensions } from "../domain/task.ts";
import { type ErrorCode, errorCodes, errorStatus, neverRetry } from "../errors.ts";
import { taskInput } from "./generation-request.ts";
import { headers, type ReplyHeader } from "./reply-headers.ts";

const unixSeconds = z.int().meta({ description: "Unix seconds." });

export const errorEnvelope = z
  .object({
    error: z.object({
      code: z.enum(errorCodes as [ErrorCode, ...ErrorCode[]]),
      message: z.string(),
      type: z.string(),
      param: z.string().nullable().meta({ description: "The first field that breaks its rule." }),
      retryable: z.boolean(),
      charged: z.enum(["no", "held", "yes"]),
    }),
    request_id: z.string(),
  })
  .meta({ id: "Error", description: "The one envelope of all errors." });

const exampleId = "task-01k5d3v7xq8m2n4p6r8t0w2y4a6c8e0";

export const exampleTask = {
  id: exampleId,
  object: "image.generation.task",
  type: "image",
  model: "wan-2.7-image",
  created: 1_757_165_031,
  finished: 1_757_165_078,
  status: "completed",
  progress: 100,
  results: ["https://gateway.example/images/img-5h2k8m1n4p7r0t3w6y9b2d5f8h.png"],
  images: [
    {
      url: "https://gateway.example/images/img-5h2k8m1n4p7r0t3w6y9b2d5f8h.png",
      width: 1_024,
      height: 768,
      bytes: 1_482_115,
      content_type: "image/png",
    },
  ],
  task_info: { can_cancel: false, estimated_time: 0, queue_position: null },
  usage: { images: 1, credits_held: 0, credits_charged: 30 },
  input: { prompt: "a lighthouse at dusk", n: 1, size: "landscape_4_3" },
  metadata: { order: "1001" },
  end_user: null,
  error: null,
  links: {
    self: `https://gateway.example/v1/tasks/${exampleId}`,
    events: `https://gateway.example/v1/tasks/${exampleId}/events?token=k7Qf`,
  },
} as const;

export const taskReply = z
  .object({
    id: z.string(),
    object: z.literal("image.generation.task"),
    type: z.literal("image"),
    model: z.enum(models),
    created: unixSeconds,
    finished: unixSeconds.nullable(),
    status: z.enum(["pending", "processing", "completed", "failed", "cancelled"]),
    progress: z.int().min(0).max(100),
    results: z.array(z.url()).meta({ description: "The images' permanent URLs." }),
    images: z.array(
      z.object({
        url: z.url(),
        width: z.int(),
        height: z.int(),
        bytes: z.int(),
        content_type: z.enum(Object.keys(imageExtensions) as [keyof typeof imageExtensions]),
      }),
    ),
    task_info: z.object({
      can_cancel: z.boolean(),
      estimated_time: z.number().nullable().meta({ description: "Seconds, as the model guesses." }),
      queue_position: z.int().nullable(),
    }),
    usage: z
      .object({ images: z.int(), credits_held: z.int().optional(), credits_charged: z.int().optional() })
      .meta({ description: "Browser keys and tokens see no credits." }),
    input: taskInput.meta({ description: "What was asked, given defaults included." }).optional(),
    metadata: z.record(z.string(), z.string()),
    end_user: z.string().nullable(),
    error: z
      .object({
        code: z.enum(Object.keys(taskFailures) as [TaskFailureCode]),
        message: z.string(),
        type: z.literal("task_error"),
        retryable: z.boolean(),
        charged: z.literal("no"),
      })
      .nullable(),
    links: z.object({
      self: z.url(),
      events: z.url().optional().meta({ description: "Follows the task without a key, for an hour." }),
    }),
  })
  .meta({ id: "Task", examples: [exampleTask] });

/** A page of a list. */
export const listReply = <Item extends z.ZodType>(item: Item) =>
  z.object({ object: z.literal("list"), data: z.array(item), next_cursor: z.string().nullable() });

export const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

const saysWhenToRetry: readonly ErrorCode[] = [
  "rate_limited",
  "too_many_tasks",
  "quota_exceeded",
  "idempotency_in_progress",
  "unavailable",
];

/** The headers of an error, beside those of every reply. */
function headersOf(code: ErrorCode): ReplyHeader[] {
  const status = errorStatus(code);
  return [
    ...(status === 401 ? (["www-authenticate"] as const) : []),
    ...(status === 405 ? (["allow"] as const) : []),
    ...(status === 416 ? (["content-range"] as const) : []),
    ...(saysWhenToRetry.includes(code) ? (["retry-after"] as const) : []),
    ...(neverRetry(code) ? (["x-should-retry"] as const) : []),
  ];
}

/** The error replies of an operation, for its contract: by status, naming the codes. */
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
  "missing_key",
  "invalid_key",
  "secret_key_in_browser",
  "origin_not_allowed",
  "scope_denied",
  "tenant_suspended",
  "rate_limited",
  "unavailable",
] as const satisfies ErrorCode[];

/** Codes that every operation with a JSON body can answer with. */
export const bodyErrors = [
  "invalid_json",
  "invalid_request",
  "body_too_large",
  "unsupported_media_type",
] as const satisfies ErrorCode[];

/**
 * The limits in force: the fields of draft-ietf-httpapi-ratelimit-headers-10, as structured fields (RFC 9651), and
 * the older names that OpenAI's clients read. Tasks in flight have no window.
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
