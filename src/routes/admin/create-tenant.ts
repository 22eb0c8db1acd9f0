/** `POST /admin/api/tenants`: makes a tenant. */

import { createRoute } from "@hono/zod-openapi";
import type * as z from "zod";
import type { Config } from "../../config.ts";
import type { Tenant } from "../../d1/tenants/tenants.ts";
import { defaultLimits } from "../../domain/admission.ts";
import { documented } from "../../domain/documented.ts";
import { keyCounts } from "../../domain/keys.ts";
import { ApiError } from "../../errors.ts";
import { createTenant } from "../../flows/tenants/tenant-settings.ts";
import { newWebhookSecret, type WantedWebhook } from "../../flows/webhooks/webhook-settings.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { wantedWebhook } from "../webhooks/webhook-fields.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";
import { newTenant } from "./tenant-fields.ts";
import { tenantReply, viewTenant } from "./tenant-reply.ts";

const contract = (config: Config) =>
  createRoute({
    method: "post",
    path: "/admin/api/tenants",
    operationId: "create-tenant",
    security: adminSecurity,
    middleware: [jsonBody] as const,
    request: { body: { required: true, ...json(newTenant(config), "The tenant.") } },
    ...documented(() => ({
      tags: ["Admin: tenants"],
      summary: "Make a tenant",
      responses: {
        201: json(tenantReply, "Made."),
        ...errorReplies(...adminErrors, ...bodyErrors, "already_exists"),
      },
    })),
  });

export function createTenantRoute(api: Api, config: Config): void {
  api.openapi(contract(config), async (c) => {
    const body = c.req.valid("json");
    const invocation = c.get("invocation");
    const webhook = body.webhook ? wantedWebhook(c, config, body.webhook, ["webhook", "url"]) : null;
    const secret = webhook?.secret ?? newWebhookSecret(invocation);
    const tenant = tenantOf(invocation, body, webhook);
    if (tenant.openingBalance > 0) c.set("lookAt", "See whether the tenant is there, and its ledger.");
    if (!(await createTenant(invocation, adminActor(c), tenant, secret))) {
      throw new ApiError("already_exists", "There is, or was, a tenant of this id.", { param: "id" });
    }
    return c.json(await viewTenant(c, tenant, secret), 201, notStored);
  });
}

/** The tenant that is asked for, with the defaults of what is left out. */
function tenantOf(
  invocation: Invocation,
  body: z.output<ReturnType<typeof newTenant>>,
  webhook: WantedWebhook | null,
): Tenant {
  return {
    id: body.id ?? invocation.newId("tenant"),
    name: body.name,
    status: "active",
    limits: { ...defaultLimits, ...body.limits },
    prices: body.prices ?? {},
    models: body.models ?? null,
    prepaid: body.balance != null,
    openingBalance: body.balance ?? 0,
    lowBalance: body.low_balance ?? null,
    turnstileSecret: body.turnstile_secret ?? null,
    retentionDays: body.retention_days ?? null,
    maxKeys: body.max_keys ?? keyCounts.usual,
    locationHint: body.location_hint ?? null,
    webhook: {
      url: webhook?.url ?? null,
      events: webhook?.events ?? null,
      notifyUrl: webhook?.notifyUrl ?? null,
      off: null,
    },
    createdMs: invocation.now(),
    deletedMs: null,
  };
}
