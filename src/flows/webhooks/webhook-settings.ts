/** A tenant's webhook: its address, its events and its secrets. */
import type { Tenant, WebhookChange } from "../../d1/tenants/tenants.ts";
import { formatSecret, secretBytes, type WebhookEvent } from "../../domain/webhooks.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** A webhook's former secret signs beside a new one for so long, unless the caller asks for another time. */
export const secretOverlapMs = 86_400_000;

/** A webhook as it is to be. A secret that is left out is made where there was no webhook before. */
export interface WantedWebhook {
  url: string | null;
  events: WebhookEvent[] | null;
  secret?: string | undefined;
  /** Left out: as it is. */
  notifyUrl?: string | null | undefined;
}

/** The change that makes a tenant's webhook the wanted one. */
export function webhookChange(
  invocation: Invocation,
  before: Tenant,
  { url, events, secret, notifyUrl }: WantedWebhook,
): WebhookChange {
  const text =
    secret ?? (url !== null && before.webhook.url === null ? newWebhookSecret(invocation) : undefined);
  return {
    url,
    events,
    notifyUrl,
    secret: text === undefined ? undefined : newSecret(invocation, text, secretOverlapMs),
  };
}

/** A new secret. The one before signs beside it for `overlapMs`. */
export function newSecret(invocation: Pick<Invocation, "now">, text: string, overlapMs: number) {
  const nowMs = invocation.now();
  return { text, beforeUntilMs: nowMs + overlapMs, nowMs };
}

export function newWebhookSecret(invocation: Pick<Invocation, "randomBytes">): string {
  return formatSecret(invocation.randomBytes(secretBytes));
}

/** A change as the audit log keeps it: a URL's path may hold a secret of the receiver's. */
export function describeWebhook({ url, events, secret }: WebhookChange) {
  const origin = typeof url === "string" ? new URL(url).origin : url;
  return { origin, events, secret: secret === undefined ? undefined : "…" };
}
