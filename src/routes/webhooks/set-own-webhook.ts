/** `PUT /v1/webhook`: sets the tenant's webhook. */
import { createRoute } from "@hono/zod-openapi";
import type { Config } from "../../config.ts";
import type { Tenant } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import { webhookChange } from "../../flows/webhooks/webhook-settings.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import { changeOwnWebhook } from "./own-webhook.ts";
import { givenWebhook, wantedWebhook, webhookReply } from "./webhook-fields.ts";

const contract = (config: Config) =>
  createRoute({
    method: "put",
    path: "/v1/webhook",
    operationId: "set-own-webhook",
    security: [{ key: [] }],
    middleware: [jsonBody] as const,
    request: { body: { required: true, ...json(givenWebhook(config), "The webhook.") } },
    ...documented(() => ({
      tags: ["Webhooks"],
      summary: "Set the tenant's webhook",
      description:
        "One that was switched off works again from then on, and what ended meanwhile is not sent. `events` that are left out are all.",
      responses: {
        200: json(webhookReply, "Set."),
        ...errorReplies(...keyErrors, ...bodyErrors),
      },
    })),
  });

export function setOwnWebhook(api: Api, config: Config): void {
  api.openapi(contract(config), async (c) => {
    const body = c.req.valid("json");
    const make = (tenant: Tenant) =>
      webhookChange(c.get("invocation"), tenant, wantedWebhook(c, config, body, ["url"]));
    return c.json(await changeOwnWebhook(c, make), 200, notStored);
  });
}
