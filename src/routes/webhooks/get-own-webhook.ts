/** `GET /v1/webhook`: reads the tenant's webhook. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json, keyErrors } from "../../http/replies.ts";
import { ownTenant } from "./own-webhook.ts";
import { viewWebhook, webhookReply } from "./webhook-fields.ts";

const contract = createRoute({
  method: "get",
  path: "/v1/webhook",
  operationId: "get-own-webhook",
  security: [{ key: [] }],
  ...documented(() => ({
    tags: ["Webhooks"],
    summary: "Read the tenant's webhook",
    responses: { 200: json(webhookReply, "The webhook."), ...errorReplies(...keyErrors) },
  })),
});

export function getOwnWebhook(api: Api): void {
  api.openapi(contract, async (c) => c.json(viewWebhook((await ownTenant(c)).tenant.webhook), 200));
}
