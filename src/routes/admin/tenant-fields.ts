/** A tenant as the operator sets it: for a new one, and for a change. */
import * as z from "zod";
import type { Config } from "../../config.ts";
import { maxAmount } from "../../domain/account.ts";
import { documented } from "../../domain/documented.ts";
import { tenantIdPattern } from "../../domain/ids.ts";
import { keyCounts } from "../../domain/keys.ts";
import { locationHints } from "../../domain/location-hints.ts";
import { defaultModel } from "../../domain/model-catalog.ts";
import { tenantStatuses } from "../../domain/tenant.ts";
import { givenLimits, modelList, prices } from "../account/limit-fields.ts";
import { givenWebhook } from "../webhooks/webhook-fields.ts";

const name = z.string().trim().min(1).max(200);
/** Suspended: all keys of the tenant are refused. */
export const tenantStatus = z.enum(tenantStatuses);
const credits = z.int().min(0).max(maxAmount);

const settings = (config: Config) => ({
  name,
  limits: givenLimits.optional(),
  prices: prices.optional(),
  balance: credits
    .nullable()
    .optional()
    .meta(
      documented(() => ({
        description: "Credits. Null: not prepaid, metered only. In a change: what the balance is set to.",
      })),
    ),
  low_balance: credits
    .nullable()
    .optional()
    .meta(
      documented(() => ({
        description: "`balance.low` is sent when what is available falls below this.",
      })),
    ),
  models: modelList
    .nullable()
    .optional()
    .meta(documented(() => ({ description: "Null: all." }))),
  retention_days: z
    .int()
    .min(1)
    .max(36_500)
    .nullable()
    .optional()
    .meta(
      documented(() => ({
        description: "Tasks are erased so many days after they were made. Null: kept for good.",
      })),
    ),
  max_keys: z
    .int()
    .min(1)
    .max(keyCounts.most)
    .optional()
    .meta(
      documented(() => ({
        description: `Keys that may be alive at a time. Default ${keyCounts.usual}.`,
      })),
    ),
  turnstile_secret: z
    .string()
    .min(1)
    .max(200)
    .nullable()
    .optional()
    .meta(
      documented(() => ({
        description: "Of the Turnstile widget whose answers browser keys mint tokens for. Never shown.",
      })),
    ),
  webhook: givenWebhook(config)
    .nullable()
    .optional()
    .meta(documented(() => ({ description: "Where the tenant is notified of its tasks. Null: nowhere." }))),
});

export const newTenant = (config: Config) =>
  z
    .strictObject({
      id: z
        .string()
        .regex(tenantIdPattern, "must be 3 to 32 of a-z, 0-9 and -")
        .optional()
        .meta(documented(() => ({ description: "Made up when left out." }))),
      location_hint: z
        .enum(locationHints)
        .nullable()
        .optional()
        .meta(
          documented(() => ({
            description:
              "Region in which the tenant's limits and credits are kept, for good. Null: as the gateway is configured.",
          })),
        ),
      ...settings(config),
    })
    .meta(
      documented(() => ({
        examples: [
          {
            id: "acme",
            name: "Acme Inc.",
            balance: 3_000,
            prices: { [defaultModel]: 40 },
            limits: { images_per_day: 500 },
          },
        ],
      })),
    );

export const tenantChange = (config: Config) =>
  z.strictObject({ ...settings(config), name: name.optional(), status: tenantStatus.optional() }).meta(
    documented(() => ({
      examples: [{ status: "suspended" }, { limits: { images_per_minute: 120 }, retention_days: 30 }],
    })),
  );
