/**
 * Webhooks by Standard Webhooks 1.0 (https://www.standardwebhooks.com): what is told, when it is attempted again, and how
 * it is signed, which is left to the makers' own library.
 */
import { Webhook } from "standardwebhooks";
import type { EndState, TaskView } from "./task.ts";

export const webhookEvents = ["task.completed", "task.failed", "task.cancelled", "balance.low"] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

export const eventOfEnd = {
  completed: "task.completed",
  failed: "task.failed",
  cancelled: "task.cancelled",
} as const satisfies Record<EndState, WebhookEvent>;

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Pauses between the tries, the first of which is made at once. */
export const retryPausesMs = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
] as const;

/** When what failed `attempts` times is attempted again; undefined: no more. */
export function nextAttemptMs(attempts: number, nowMs: number): number | undefined {
  const pauseMs = retryPausesMs[attempts - 1];
  return pauseMs === undefined ? undefined : nowMs + pauseMs;
}

/**
 * How long nothing at all is sent to an endpoint that has failed so often in a row, by that number: so that it holds up
 * no other. The last one holds for all after it.
 */
export const endpointBackoffsMs = [
  0,
  0,
  0,
  0,
  0,
  ...[5, 10, 20, 40, 80, 160, 320, 600].map((rest) => rest * second),
];

/** So long the log of deliveries goes back. */
export const deliveryLogMs = 30 * 24 * hour;

/** A secret's bytes: 24 to 64, as the specification says. */
export const secretBytes = 32;
const secretBounds = { min: 24, max: 64 };

export function formatSecret(random: Uint8Array): string {
  return `whsec_${btoa(String.fromCharCode(...random))}`;
}

/** What is wrong with a secret that a tenant brings along, as the end of a sentence; undefined: nothing. */
export function secretProblem(text: string): string | undefined {
  const [, encoded = ""] =
    /^whsec_((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/.exec(text) ?? [];
  const bytes = Math.floor(encoded.replaceAll("=", "").length * 0.75);
  const { min, max } = secretBounds;
  return bytes >= min && bytes <= max ? undefined : `must be whsec_ and base64 of ${min} to ${max} bytes`;
}

/**
 * The headers of one try.
 * @param secrets The current one, and the one before while it is replaced.
 */
export function webhookHeaders(secrets: readonly string[], id: string, nowMs: number, body: string) {
  const sent = new Date(nowMs);
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(nowMs / 1000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, sent, body)).join(" "),
  };
}

/** A task as it is told to whoever listens: not what was asked, which its receivers' logs need not hold. */
export function notifiedTask({ input: _input, ...task }: TaskView) {
  return task;
}
