/** Deliveries as the operator and the tenant list them. */
import * as z from "zod";
import type { Delivery } from "../../d1/webhooks/delivery-log.ts";
import { documented } from "../../domain/documented.ts";
import { toSeconds } from "../../domain/task.ts";
import { deliveryEvents, deliveryStates } from "../../domain/webhooks.ts";
import { ApiError } from "../../errors.ts";
import { pageQuery } from "../../http/paging.ts";

/** Sorts after every delivery's id. */
export const afterAllDeliveries = "msg-~";

export const deliveryQuery = z.object({
  status: z.enum(deliveryStates).optional(),
  task: z.string().max(100).optional(),
  ...pageQuery.shape,
});

export const deliveryReply = documented(() =>
  z
    .object({
      id: z.string().meta({ description: "The `webhook-id` of every attempt." }),
      object: z.literal("webhook.delivery"),
      tenant: z.string(),
      event: z.enum(deliveryEvents),
      task: z.string().nullable(),
      target: z.string().meta({
        description:
          "`webhook`, `notify` for its second address, or the origin of the task's `callback_url`.",
      }),
      status: z.enum(deliveryStates).meta({
        description:
          "`dropped`: it is no longer wanted, by an endpoint switched off, an erased task or a webhook removed.",
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
    }),
);

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

export function noSuchDelivery(): ApiError {
  return new ApiError("not_found", "There is no such delivery.");
}
