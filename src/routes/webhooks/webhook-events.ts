/** The requests that the gateway sends, for the OpenAPI document: the webhooks, and the callback of a task. */
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { taskFailures } from "../../domain/failures.ts";
import type { TaskStatus } from "../../domain/task.ts";
import {
  disabledEvent,
  eventFacts,
  offReasons,
  retryPausesMs,
  statusOfEvent,
  webhookEvents,
} from "../../domain/webhooks.ts";
import type { Api } from "../../http/context.ts";
import { json } from "../../http/replies.ts";
import { exampleTask, taskReply } from "../tasks/task-reply.ts";

const { input: _input, links, ...rest } = exampleTask;
const exampleNotified = { ...rest, links: { self: links.self } };

const notifiedTask = taskReply.omit({ input: true }).meta(
  documented(() => ({
    id: "NotifiedTask",
    description: "The task, without its input.",
    examples: [exampleNotified],
  })),
);

const exampleLow = { object: "balance", balance: 90, held: 30, available: 60, low_balance: 100 };

const lowBalance = z
  .object({
    object: z.literal("balance"),
    balance: z.int(),
    held: z.int(),
    available: z.int(),
    low_balance: z.int().meta(documented(() => ({ description: "What `available` fell below." }))),
  })
  .meta(
    documented(() => ({
      id: "LowBalance",
      examples: [exampleLow],
    })),
  );

const exampleOff = { object: "webhook", target: "webhook", reason: "failing", at: 1_757_165_031 };

const switchedOff = z
  .object({
    object: z.literal("webhook"),
    target: z
      .string()
      .meta(documented(() => ({ description: "`webhook`, or the origin of `callback_url`s." }))),
    reason: z.enum(offReasons),
    at: z.int(),
  })
  .meta(documented(() => ({ id: "SwitchedOff", examples: [exampleOff] })));

/** The task of the example, as an event of this status sends it. */
function exampleOf(status: TaskStatus) {
  if (status === "completed") return exampleNotified;
  const usage = { ...exampleNotified.usage, images: 0, credits_charged: 0 };
  const imageless = { ...exampleNotified, status, progress: 0, results: [], images: [], usage };
  if (status === "failed") return { ...imageless, error: exampleFailure };
  return status === "cancelled" ? imageless : { ...imageless, finished: null };
}

const exampleFailure = {
  code: "generation_timeout",
  message: taskFailures.generation_timeout.message,
  type: "task_error",
  retryable: taskFailures.generation_timeout.retryable,
  charged: "no",
};

const signed = z.object({
  "webhook-id": z
    .string()
    .meta(documented(() => ({ description: "Stays the same over all attempts: know repetitions by it." }))),
  "webhook-timestamp": z
    .string()
    .regex(/^\d+$/)
    .meta(documented(() => ({ description: "Unix seconds of this attempt." }))),
  "webhook-signature": z.string().meta(
    documented(() => ({
      description:
        "`v1,` and base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`. While a secret is replaced there is one " +
        "for each, with a space between: up to four.",
    })),
  ),
});

const pauses = retryPausesMs.map((ms) => ms / 1000).join(", ");
const shared = {
  method: "post" as const,
  tags: ["Webhooks"],
  // The signature is all that the gateway shows of itself.
  security: [],
  description:
    "Signed by Standard Webhooks 1.0 with the tenant's webhook secret. At least once: attempted at once and after " +
    `${pauses} seconds; each attempt has 15 s.`,
  responses: {
    "2XX": { description: "Taken." },
    410: { description: "Switches the webhook off until it is set again." },
    default: { description: "Anything else, a redirect too: it is attempted again." },
  },
};

export function registerWebhooks(api: Api): void {
  const register = (type: string, summary: string, data: z.ZodType, example: object) => {
    const event = z.object({ type: z.literal(type), timestamp: z.iso.datetime(), data }).meta(
      documented(() => ({
        examples: [{ type, timestamp: "2026-01-31T09:30:00.000Z", data: example }],
      })),
    );
    api.openAPIRegistry.registerWebhook({
      ...shared,
      path: type,
      operationId: type.replace(".", "-"),
      summary,
      request: { headers: signed, body: { required: true, ...json(event, "The event.") } },
    });
  };
  for (const type of webhookEvents) {
    const status = statusOfEvent(type);
    const data = status ? notifiedTask : lowBalance;
    register(type, eventFacts[type].summary, data, status ? exampleOf(status) : exampleLow);
  }
  register(disabledEvent, "To `notify_url`: a webhook was switched off", switchedOff, exampleOff);
  api.openAPIRegistry.registerWebhook({
    ...shared,
    path: "callback_url",
    operationId: "callback",
    summary: "To a task's own `callback_url`, once it has ended",
    request: { headers: signed, body: { required: true, ...json(notifiedTask, "The bare task.") } },
  });
}
