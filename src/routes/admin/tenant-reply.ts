/** A tenant as the operator sees it, and the refusals that several operations on a tenant share. */

import * as z from "zod";
import type { Tenant } from "../../d1/tenants/tenants.ts";
import { defaultLimits } from "../../domain/admission.ts";
import { documented } from "../../domain/documented.ts";
import { keyCounts } from "../../domain/keys.ts";
import { locationHints } from "../../domain/location-hints.ts";
import { defaultModel } from "../../domain/model-catalog.ts";
import { toSeconds } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import type { AppContext } from "../../http/context.ts";
import { modelList, prices, shownLimits } from "../account/limit-fields.ts";
import { viewWebhook, webhookReply } from "../webhooks/webhook-fields.ts";
import { tenantStatus } from "./tenant-fields.ts";

export const tenantReply = documented(() =>
  z
    .object({
      id: z.string(),
      object: z.literal("tenant"),
      name: z.string(),
      status: tenantStatus,
      limits: shownLimits,
      prices,
      models: modelList.nullable(),
      balance: z.int().nullable().meta({ description: "Topped up − charged. Null: not prepaid." }),
      held: z.int(),
      available: z.int().nullable(),
      low_balance: z.int().nullable(),
      retention_days: z.int().nullable(),
      max_keys: z.int(),
      location_hint: z.enum(locationHints).nullable(),
      turnstile: z.boolean().meta({ description: "Whether a `turnstile_secret` is set." }),
      webhook: webhookReply,
      created: z.int(),
    })
    .meta({
      id: "Tenant",
      examples: [
        {
          id: "acme",
          object: "tenant",
          name: "Acme Inc.",
          status: "active",
          limits: { ...defaultLimits, images_per_day: 500 },
          prices: { [defaultModel]: 40 },
          models: null,
          balance: 3_000,
          held: 0,
          available: 3_000,
          low_balance: null,
          retention_days: null,
          max_keys: keyCounts.usual,
          location_hint: null,
          turnstile: false,
          webhook: {
            object: "webhook",
            url: null,
            events: ["task.completed"],
            status: "off",
            disabled: null,
            notify_url: null,
          },
          created: 1_757_165_031,
        },
      ],
    }),
);

/** @param webhookSecret A new one, which is shown this once. */
export async function viewTenant(
  c: AppContext,
  tenant: Tenant,
  webhookSecret?: string,
): Promise<z.output<typeof tenantReply>> {
  const invocation = c.get("invocation");
  const summary = await invocation.tenant(tenant.id).summary(tenant.id, invocation.now());
  const { balance = 0, held = 0, available = 0 } = summary ?? {};
  return {
    id: tenant.id,
    object: "tenant",
    name: tenant.name,
    status: tenant.status,
    limits: tenant.limits,
    prices: tenant.prices,
    models: tenant.models,
    balance: tenant.prepaid ? balance : null,
    held,
    available: tenant.prepaid ? available : null,
    low_balance: tenant.lowBalance,
    retention_days: tenant.retentionDays,
    max_keys: tenant.maxKeys,
    location_hint: tenant.locationHint,
    turnstile: tenant.turnstileSecret !== null,
    webhook: viewWebhook(tenant.webhook, webhookSecret),
    created: toSeconds(tenant.createdMs),
  };
}

export function noSuchTenant(): ApiError {
  return new ApiError("not_found", "There is no such tenant.");
}

export function tenantDeleted(): ApiError {
  return new ApiError("deleted", "This tenant was deleted.");
}

/** @param available Credits that are not held. */
export function balanceHeld(available: number): ApiError {
  const text = `The balance cannot fall below what is held for running tasks; ${available} credits are available.`;
  return new ApiError("balance_held", text);
}
