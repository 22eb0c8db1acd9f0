/** `PATCH /admin/api/tenants/{id}`: changes a tenant. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { findTenant, hasTenant, type WebhookChange } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import { changeTenant } from "../../flows/tenants/tenant-settings.ts";
import { webhookChange } from "../../flows/webhooks/webhook-settings.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { bodyErrors, errorReplies, json } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import { type givenWebhook, wantedWebhook } from "../webhooks/webhook-fields.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";
import { tenantChange } from "./tenant-fields.ts";
import { balanceHeld, noSuchTenant, tenantReply, viewTenant } from "./tenant-reply.ts";

const contract = (config: Config) =>
  createRoute({
    method: "patch",
    path: "/admin/api/tenants/{id}",
    operationId: "change-tenant",
    security: adminSecurity,
    middleware: [jsonBody] as const,
    request: {
      params: z.object({ id: z.string() }),
      body: { required: true, ...json(tenantChange(config), "What to change.") },
    },
    ...documented(() => ({
      tags: ["Admin: tenants"],
      summary: "Change a tenant",
      description:
        "What is left out stays as it is. A suspended tenant's keys are refused from the next request on.",
      responses: {
        200: json(tenantReply, "Changed."),
        ...errorReplies(...adminErrors, ...bodyErrors, "not_found", "balance_held"),
      },
    })),
  });

export function changeTenantRoute(api: Api, config: Config): void {
  api.openapi(contract(config), async (c) => {
    const { balance, low_balance, turnstile_secret, retention_days, max_keys, webhook, ...body } =
      c.req.valid("json");
    const { id } = c.req.valid("param");
    const changed = await changeOfWebhook(c, config, id, webhook);
    const changes = {
      ...body,
      webhook: changed,
      lowBalance: low_balance,
      turnstileSecret: turnstile_secret,
      retentionDays: retention_days,
      maxKeys: max_keys,
      prepaid: balance === undefined ? undefined : balance !== null,
    };
    if (balance != null) {
      // A deleted tenant's object has its account for good.
      if (!(await hasTenant(c.get("invocation").db, id))) throw noSuchTenant();
      c.set("lookAt", "See the ledger before you set the balance again.");
    }
    const result = await changeTenant(c.get("invocation"), adminActor(c), id, changes, balance ?? undefined);
    switch (result.kind) {
      case "no_tenant":
        throw noSuchTenant();
      case "balance_held":
        throw balanceHeld(result.available);
      case "changed":
        return c.json(await viewTenant(c, result.tenant, changed?.secret?.text), 200, notStored);
    }
  });
}

/** The change of a tenant's webhook that is asked for; undefined when none is. */
async function changeOfWebhook(
  c: AppContext,
  config: Config,
  id: string,
  given: z.output<ReturnType<typeof givenWebhook>> | null | undefined,
): Promise<WebhookChange | undefined> {
  if (given === undefined) return undefined;
  if (given === null) return { url: null, events: null, notifyUrl: null };
  const wanted = wantedWebhook(c, config, given, ["webhook", "url"]);
  const before = await findTenant(c.get("invocation").db, id);
  if (!before) throw noSuchTenant();
  return webhookChange(c.get("invocation"), before, wanted);
}
