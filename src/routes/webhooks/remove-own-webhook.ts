/** `DELETE /v1/webhook`: removes the tenant's webhook. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { changeOwnWebhook } from "./own-webhook.ts";

const contract = createRoute({
  method: "delete",
  path: "/v1/webhook",
  operationId: "remove-own-webhook",
  security: [{ key: [] }],
  ...documented(() => ({
    tags: ["Webhooks"],
    summary: "Remove the tenant's webhook",
    description: "Deliveries that are still due to it are dropped. Callbacks of tasks go on.",
    responses: { 204: { description: "Removed." }, ...errorReplies(...keyErrors) },
  })),
});

export function removeOwnWebhook(api: Api): void {
  api.openapi(contract, async (c) => {
    await changeOwnWebhook(c, () => ({ url: null, events: null, notifyUrl: null }));
    return c.body(null, 204);
  });
}
