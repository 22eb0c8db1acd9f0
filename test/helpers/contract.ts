/**
 * Lists of the contract, typed a second time, once for all tests: they hold replies, documents and sources against these
 * and not against the sources' own. What a source adds does not compile until it is here.
 */
import type { Limits } from "../../src/domain/admission.ts";
import type { TaskStatus } from "../../src/domain/task.ts";
import type { WebhookEvent } from "../../src/domain/webhooks.ts";

/** The limits of a tenant that is made without any. */
export const newTenantLimits: Limits = {
  requests_per_minute: 600,
  images_per_minute: 60,
  concurrent_tasks: 20,
  images_per_day: null,
  images_per_month: null,
  refusals_per_day: 200,
  files_per_day: 200,
  file_bytes: 1_073_741_824,
};

/** Every event in the order in which webhooks show them, and the status that a task has with it; null: it is of no task. */
export const statusAtEvent: Record<WebhookEvent, TaskStatus | null> = {
  "task.completed": "completed",
  "task.failed": "failed",
  "task.cancelled": "cancelled",
  "balance.low": null,
};

/** What a webhook is sent that names no events. */
export const allEvents = Object.keys(statusAtEvent);
