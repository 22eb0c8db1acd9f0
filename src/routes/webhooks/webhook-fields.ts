/** Webhooks as they are asked for and shown, to the operator and to the tenant alike. */
import * as z from "zod";
import type { Config } from "../../config.ts";
import type { TenantWebhook } from "../../d1/tenants/tenants.ts";
import { type Delivery, deliveryStates } from "../../d1/webhooks/delivery-log.ts";
import { checkAddress, maxUrlCharacters } from "../../domain/address.ts";
import { toSeconds } from "../../domain/task.ts";
import { secretProblem, webhookEvents } from "../../domain/webhooks.ts";
import type { WantedWebhook } from "../../flows/tenants/tenants.ts";
import type { AppContext } from "../../http/context.ts";
import { pageQuery } from "../../http/paging.ts";
import { invalidRequest } from "../../http/validation.ts";
import { isOwnAddress, ownAddress } from "../tasks/generation-checks.ts";

const events = z.array(z.enum(webhookEvents)).min(1).max(webhookEvents.length);

/** @param config Says where it may point to. */
export function givenWebhook(config: Config) {
  return z
    .strictObject({
      url: z
        .string()
        .superRefine((text, context) => {
          const policy = { allowPrivate: config.ALLOW_PRIVATE_NETWORK, schemes: ["https:"] as const };
          const checked = checkAddress(text, policy);
          if ("problem" in checked) context.addIssue({ code: "custom", message: checked.problem });
        })
        .meta({ format: "iri", maxLength: maxUrlCharacters, description: "`https`, on a public address." }),
      secret: z
        .string()
        .superRefine((text, context) => {
          const message = secretProblem(text);
          if (message !== undefined) context.addIssue({ code: "custom", message });
        })
        .optional()
        .meta({
          pattern: "^whsec_[A-Za-z0-9+/]+={0,2}$",
          minLength: 38,
          maxLength: 94,
          description:
            "`whsec_` and base64 of 24 to 64 bytes; made when there was no webhook before. The one before signs " +
            "beside it for a day.",
        }),
      events: events.optional().meta({ description: "Default: all." }),
    })
    .meta({ examples: [{ url: "https://shop.example/told", events: ["task.completed", "task.failed"] }] });
}

/** The same, of which what is left out stays as it is. */
export function changedWebhook(config: Config) {
  return givenWebhook(config)
    .partial()
    .meta({ examples: [{ events: ["task.completed"] }] });
}

/** What is asked for, once it is no loop to the gateway itself. @param path Of the field, for the refusal. */
export function wantedWebhook(
  c: AppContext,
  config: Config,
  body: z.output<ReturnType<typeof givenWebhook>>,
  path: string[],
): WantedWebhook {
  if (isOwnAddress(c, config, new URL(body.url))) throw invalidRequest([{ path, message: ownAddress }]);
  return { url: body.url, events: body.events ?? null, secret: body.secret };
}

export const webhookReply = z
  .object({
    object: z.literal("webhook"),
    url: z.string().nullable().meta({ description: "Null: none is set." }),
    events: z.array(z.enum(webhookEvents)),
    status: z
      .enum(["on", "off"])
      .meta({ description: "`off`: none is set, or it answered 410 and waits to be set again." }),
    secret: z.string().optional().meta({ description: "A new one is shown this once." }),
  })
  .meta({
    id: "Webhook",
    examples: [
      { object: "webhook", url: "https://shop.example/told", events: [...webhookEvents], status: "on" },
    ],
  });

export function viewWebhook(webhook: TenantWebhook, secret?: string): z.output<typeof webhookReply> {
  return {
    object: "webhook",
    url: webhook.url,
    events: webhook.events ?? [...webhookEvents],
    status: webhook.url === null || webhook.isOff ? "off" : "on",
    ...(secret !== undefined && { secret }),
  };
}

/** Sorts after every delivery's id. */
export const afterAllDeliveries = "msg-~";

export const deliveryQuery = z.object({
  status: z.enum(deliveryStates).optional(),
  task: z.string().max(100).optional(),
  ...pageQuery.shape,
});

export const deliveryReply = z
  .object({
    id: z.string().meta({ description: "The `webhook-id` of every try." }),
    object: z.literal("webhook.delivery"),
    tenant: z.string(),
    event: z.enum(webhookEvents),
    task: z.string().nullable(),
    target: z.string().meta({ description: "`webhook`, or the origin of the task's `callback_url`." }),
    status: z.enum(deliveryStates).meta({
      description: "`dropped`: nobody wants it any more, by a 410, an erased task or a webhook removed.",
    }),
    attempts: z.int(),
    created: z.int(),
    next_attempt_at: z.int().nullable(),
    last_attempt_at: z.int().nullable(),
    last_status: z.int().nullable().meta({ description: "HTTP status of the last reply." }),
    last_error: z.string().nullable(),
  })
  .meta({
    id: "WebhookDelivery",
    examples: [
      {
        id: "msg-01k5d3v7xq8m2n4p6r8t0w2y4a6c8e0",
        object: "webhook.delivery",
        tenant: "acme",
        event: "task.completed",
        task: "task-01k5d3v7xq8m2n4p6r8t0w2y4a6c8e0",
        target: "webhook",
        status: "delivered",
        attempts: 1,
        created: 1_757_165_078,
        next_attempt_at: null,
        last_attempt_at: 1_757_165_079,
        last_status: 204,
        last_error: null,
      },
    ],
  });

export function viewDelivery(delivery: Delivery): z.output<typeof deliveryReply> {
  const seconds = (ms: number | null) => (ms === null ? null : toSeconds(ms));
  return {
    id: delivery.id,
    object: "webhook.delivery",
    tenant: delivery.tenantId,
    event: delivery.event,
    task: delivery.taskId,
    target: delivery.endpoint,
    status: delivery.state,
    attempts: delivery.attempts,
    created: toSeconds(delivery.createdMs),
    next_attempt_at: seconds(delivery.dueMs),
    last_attempt_at: seconds(delivery.lastMs),
    last_status: delivery.lastStatus,
    last_error: delivery.lastProblem,
  };
}
