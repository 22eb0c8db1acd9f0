/** `PATCH /v1/webhook`: changes the tenant's webhook. */
import { createRoute } from "@hono/zod-openapi";
import type { Config } from "../../config.ts";
import type { Tenant } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import { webhookChange } from "../../flows/webhooks/webhook-settings.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { invalidRequest, jsonBody } from "../../http/validation.ts";
import { changeOwnWebhook } from "./own-webhook.ts";
import { changedWebhook, wantedWebhook, webhookReply } from "./webhook-fields.ts";

const contract = (config: Config) =>
  createRoute({
    method: "patch",
    path: "/v1/webhook",
    operationId: "change-own-webhook",
    security: [{ key: [] }],
    middleware: [jsonBody] as const,
    request: { body: { required: true, ...json(changedWebhook(config), "What to change.") } },
    ...documented(() => ({
      tags: ["Webhooks"],
      summary: "Change the tenant's webhook",
      description: "What is left out stays as it is. A webhook that was switched off works again.",
      responses: {
        200: json(webhookReply, "Changed."),
        ...errorReplies(...keyErrors, ...bodyErrors),
      },
    })),
  });

export function changeOwnWebhookRoute(api: Api, config: Config): void {
  api.openapi(contract(config), async (c) => {
    const body = c.req.valid("json");
    const make = (tenant: Tenant) => {
      const url = body.url ?? tenant.webhook.url;
      if (url === null) throw invalidRequest([{ path: ["url"], message: "is required: no webhook is set" }]);
      const events = body.events ?? tenant.webhook.events ?? undefined;
      return webhookChange(
        c.get("invocation"),
        tenant,
        wantedWebhook(c, config, { ...body, url, events }, ["url"]),
      );
    };
    return c.json(await changeOwnWebhook(c, make), 200, notStored);
  });
}
