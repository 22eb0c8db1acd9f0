/** `POST /v1/webhook/rotate`: replaces the secret that signs webhooks and callbacks. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { newSecret, newWebhookSecret, secretOverlapMs } from "../../flows/webhooks/webhook-settings.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import { overlapSeconds } from "../account/key-fields.ts";
import { changeOwnWebhook } from "./own-webhook.ts";
import { webhookReply } from "./webhook-fields.ts";

const rotation = z
  .strictObject({
    overlap_seconds: overlapSeconds
      .default(secretOverlapMs / 1000)
      .meta(documented(() => ({ description: "So long both sign." }))),
  })
  .meta(documented(() => ({ examples: [{ overlap_seconds: 86_400 }] })));

const contract = createRoute({
  method: "post",
  path: "/v1/webhook/rotate",
  operationId: "rotate-own-webhook",
  security: [{ key: [] }],
  middleware: [jsonBody] as const,
  request: {
    body: {
      required: true,
      ...json(rotation, "The overlap."),
    },
  },
  ...documented(() => ({
    tags: ["Webhooks"],
    summary: "Replace the secret that signs webhooks and callbacks",
    responses: {
      200: json(webhookReply, "The new secret."),
      ...errorReplies(...keyErrors, ...bodyErrors),
    },
  })),
});

export function rotateOwnWebhook(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const overlapMs = c.req.valid("json").overlap_seconds * 1000;
    const make = () => ({ secret: newSecret(invocation, newWebhookSecret(invocation), overlapMs) });
    return c.json(await changeOwnWebhook(c, make), 200, notStored);
  });
}
