/**
 * Webhooks by Standard Webhooks 1.0 (https://www.standardwebhooks.com): which events there are, when a delivery is
 * attempted again, and how it is signed, which is left to the makers' own library.
 */
import { type EndState, endStates, type TaskStatus, type TaskView } from "./task.ts";

interface EventFacts {
  /** For the document, and for people who choose events. */
  summary: string;
  /** What a task's event finds the task's status to be; absent where the event is of no task. */
  status?: TaskStatus;
}

/** Every event that a webhook may be sent. */
export const eventFacts = {
  "task.completed": { summary: "A task's images are stored", status: "completed" },
  "task.failed": { summary: "A task has failed, and costs nothing", status: "failed" },
  "task.cancelled": { summary: "A task was cancelled", status: "cancelled" },
  "balance.low": { summary: "The balance has fallen below `low_balance`" },
} as const satisfies Record<`task.${EndState}`, EventFacts> & Record<string, EventFacts>;

export type WebhookEvent = keyof typeof eventFacts;
export const webhookEvents = Object.keys(eventFacts) as [WebhookEvent, ...WebhookEvent[]];

/** The event of a task's end. */
export const eventOfEnd = Object.fromEntries(endStates.map((state) => [state, `task.${state}`])) as {
  [State in EndState]: `task.${State}`;
};

/** The status that a task has with an event; undefined for an event of no task. */
export function statusOfEvent(event: WebhookEvent): TaskStatus | undefined {
  const facts: EventFacts = eventFacts[event];
  return facts.status;
}

/** What the tenant's second address is sent, and nothing else is: its webhook, or a callback's origin, was switched off. */
export const disabledEvent = "webhook.disabled";
export type DeliveryEvent = WebhookEvent | typeof disabledEvent;
export const deliveryEvents = [...webhookEvents, disabledEvent] as const;

/** Why an endpoint was switched off: it answered 410, or it took nothing for {@link switchOffAfterMs}. */
export const offReasons = ["gone", "failing"] as const;
export type OffReason = (typeof offReasons)[number];

/** The states of a delivery that callers see: one that is being sent is pending. */
export const deliveryStates = ["pending", "delivered", "failed", "dropped"] as const;
export type DeliveryState = (typeof deliveryStates)[number];

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Pauses between the attempts, the first of which is made at once. */
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

/**
 * How long after its event, or after it was retried by hand, a delivery ends, whatever its attempts: all pauses and attempts
 * in a row take less, and an endpoint in back-off keeps what waits for it no longer.
 */
export const deliveryLifeMs = 77 * hour;

/**
 * When what failed `attempts` times is attempted again; undefined: no more.
 * @param endsMs The end of the delivery's life.
 */
export function nextAttemptMs(attempts: number, nowMs: number, endsMs: number): number | undefined {
  const pauseMs = retryPausesMs[attempts - 1];
  return pauseMs === undefined || nowMs + pauseMs >= endsMs ? undefined : nowMs + pauseMs;
}

/** An endpoint that took nothing for so long, from its first failure in a row on, is switched off. */
export const switchOffAfterMs = 5 * 24 * hour;
/** Failures further apart are no longer in a row: nothing was sent in between that could have been taken. */
export const failureGapMs = 2 * 24 * hour;
/** Tasks that are submitted so long after their callback's origin was switched off are not sent to it; the next one is. */
export const originOffMs = 24 * hour;

/**
 * How long an endpoint is sent nothing after so many failures in a row, by their number: a failing endpoint must hold up
 * no other. The last one holds for all after it.
 */
export const endpointBackoffsMs = [
  0,
  0,
  0,
  0,
  0,
  ...[5, 10, 20, 40, 80, 160, 320, 600].map((seconds) => seconds * second),
];

/** How far the log of deliveries goes back, and how many of a tenant's newest it keeps. */
export const deliveryLogMs = 30 * 24 * hour;
export const keptDeliveries = 100_000;

/** A secret's bytes: 24 to 64, as the specification says. */
export const secretBytes = 32;
export const secretBounds = { min: 24, max: 64 };
/** How long the text of a secret of so many bytes is. */
const secretPrefix = "whsec_";
export const secretCharacters = (bytes: number) => secretPrefix.length + 4 * Math.ceil(bytes / 3);

export function formatSecret(random: Uint8Array): string {
  return `whsec_${btoa(String.fromCharCode(...random))}`;
}

/** What is wrong with a secret that a tenant brings along, as the end of a sentence; undefined: nothing. */
export function secretProblem(text: string): string | undefined {
  const { min, max } = secretBounds;
  const form = /^whsec_((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;
  const [, encoded = ""] = (text.length <= secretCharacters(max) && form.exec(text)) || [];
  const bytes = Math.floor(encoded.replaceAll("=", "").length * 0.75);
  return bytes >= min && bytes <= max ? undefined : `must be whsec_ and base64 of ${min} to ${max} bytes`;
}

/**
 * The headers of one attempt.
 * @param secrets The current one, and the one before while it is replaced.
 */
export async function webhookHeaders(secrets: readonly string[], id: string, nowMs: number, body: string) {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`) as Uint8Array<ArrayBuffer>;
  const signatures = await Promise.all(secrets.map((secret) => signatureOf(secret, signed)));
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}

/** HMAC-SHA-256, by the bytes that a secret's text stands for (Standard Webhooks 1.0, "Signature scheme"). */
async function signatureOf(secret: string, signed: Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = Uint8Array.fromBase64(secret.slice(secretPrefix.length));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `v1,${new Uint8Array(await crypto.subtle.sign("HMAC", key, signed)).toBase64()}`;
}

/** A task as webhooks show it: without its input, which receivers' logs need not hold. */
export function notifiedTask({ input: _input, ...task }: TaskView) {
  return task;
}
