/** A webhook as it is asked for and shown, in the operator's routes and in the tenant's own. */
import * as z from "zod";
import type { Config } from "../../config.ts";
import type { TenantWebhook } from "../../d1/tenants/tenants.ts";
import { checkAddress, maxUrlCharacters } from "../../domain/address.ts";
import { documented } from "../../domain/documented.ts";
import { toSeconds } from "../../domain/task.ts";
import {
  offReasons,
  secretBounds,
  secretCharacters,
  secretProblem,
  webhookEvents,
} from "../../domain/webhooks.ts";
import { secretOverlapMs, type WantedWebhook } from "../../flows/webhooks/webhook-settings.ts";
import type { AppContext } from "../../http/context.ts";
import { invalidRequest } from "../../http/validation.ts";
import { isOwnAddress, ownAddress } from "../tasks/generation-checks.ts";

const events = z.array(z.enum(webhookEvents)).min(1).max(webhookEvents.length);

const address = (config: Config) =>
  z.string().superRefine((text, context) => {
    const policy = { allowPrivate: config.ALLOW_PRIVATE_NETWORK, schemes: ["https:"] as const };
    const checked = checkAddress(text, policy);
    if ("problem" in checked) context.addIssue({ code: "custom", message: checked.problem });
  });

/** The fields of a webhook. @param config Says whether private addresses are allowed. */
export function givenWebhook(config: Config) {
  return z
    .strictObject({
      url: address(config).meta(
        documented(() => ({
          format: "iri",
          maxLength: maxUrlCharacters,
          description: "`https`, on a public address.",
        })),
      ),
      secret: z
        .string()
        .superRefine((text, context) => {
          const message = secretProblem(text);
          if (message !== undefined) context.addIssue({ code: "custom", message });
        })
        .optional()
        .meta(
          documented(() => ({
            pattern: "^whsec_[A-Za-z0-9+/]+={0,2}$",
            minLength: secretCharacters(secretBounds.min),
            maxLength: secretCharacters(secretBounds.max),
            description:
              `\`whsec_\` and base64 of ${secretBounds.min} to ${secretBounds.max} bytes; made when there was no webhook before. ` +
              `The one before signs beside it for ${secretOverlapMs / 3_600_000} hours.`,
          })),
        ),
      events: events.optional().meta(documented(() => ({ description: "Default: all." }))),
      notify_url: address(config)
        .nullable()
        .optional()
        .meta(
          documented(() => ({
            format: "iri",
            maxLength: maxUrlCharacters,
            description: "Is notified when the webhook is switched off. Null: none. Left out: as it is.",
          })),
        ),
    })
    .meta(
      documented(() => ({
        examples: [{ url: "https://shop.example/webhooks", events: ["task.completed", "task.failed"] }],
      })),
    );
}

/** The fields of a change: a field that is left out stays as it is. */
export function changedWebhook(config: Config) {
  return givenWebhook(config)
    .partial()
    .meta(documented(() => ({ examples: [{ events: ["task.completed"] }] })));
}

/**
 * The webhook that is asked for.
 * @param path The field that a refusal names.
 * @throws ApiError `invalid_request` for the gateway's own address, which would be a loop.
 */
export function wantedWebhook(
  c: AppContext,
  config: Config,
  body: z.output<ReturnType<typeof givenWebhook>>,
  path: string[],
): WantedWebhook {
  const { url, events, secret, notify_url: notifyUrl } = body;
  const own = [url, notifyUrl].findIndex((given) => given && isOwnAddress(c, config, new URL(given)));
  if (own >= 0)
    throw invalidRequest([
      { path: own === 0 ? path : [...path.slice(0, -1), "notify_url"], message: ownAddress },
    ]);
  return { url, events: events ?? null, secret, notifyUrl };
}

export const webhookReply = documented(() =>
  z
    .object({
      object: z.literal("webhook"),
      url: z.string().nullable().meta({ description: "Null: none is set." }),
      events: z.array(z.enum(webhookEvents)),
      status: z
        .enum(["on", "off"])
        .meta({ description: "`off`: none is set, or it was switched off and waits to be set again." }),
      disabled: z
        .object({
          at: z.int(),
          reason: z
            .enum(offReasons)
            .meta({ description: "`gone`: it answered 410. `failing`: it took nothing for five days." }),
        })
        .nullable()
        .meta({ description: "Null: it was not switched off." }),
      notify_url: z.string().nullable(),
      secret: z.string().optional().meta({ description: "A new one is shown this once." }),
    })
    .meta({
      id: "Webhook",
      examples: [
        {
          object: "webhook",
          url: "https://shop.example/webhooks",
          events: [...webhookEvents],
          status: "on",
          disabled: null,
          notify_url: null,
        },
      ],
    }),
);

/** @param secret A new one, which is shown this once. */
export function viewWebhook(webhook: TenantWebhook, secret?: string): z.output<typeof webhookReply> {
  return {
    object: "webhook",
    url: webhook.url,
    events: webhook.events ?? [...webhookEvents],
    status: webhook.url === null || webhook.off ? "off" : "on",
    disabled: webhook.off && { at: toSeconds(webhook.off.atMs), reason: webhook.off.reason },
    notify_url: webhook.notifyUrl,
    ...(secret !== undefined && { secret }),
  };
}
