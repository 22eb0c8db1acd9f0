/** `GET /v1/webhook/deliveries`: the tenant's delivery log. */
import { createRoute } from "@hono/zod-openapi";
import { listDeliveries } from "../../d1/webhooks/delivery-log.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { toWalkedPage, walkedPages } from "../../http/paging.ts";
import { errorReplies, json, keyErrors, listReply } from "../../http/replies.ts";
import { authorizeManager } from "../account/managing-key.ts";
import { afterAllDeliveries, deliveryQuery, deliveryReply, viewDelivery } from "./delivery-reply.ts";

const contract = createRoute({
  method: "get",
  path: "/v1/webhook/deliveries",
  operationId: "list-own-deliveries",
  security: [{ key: [] }],
  request: { query: deliveryQuery },
  ...documented(() => ({
    tags: ["Webhooks"],
    summary: "List the deliveries to the webhook and to callbacks, newest first",
    description: `Goes back for thirty days. ${walkedPages}`,
    responses: {
      200: json(listReply(deliveryReply), "A page of deliveries."),
      ...errorReplies(...keyErrors),
    },
  })),
});

export function listOwnDeliveries(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenantId } = await authorizeManager(c);
    const { cursor, limit, ...filter } = c.req.valid("query");
    const { db } = c.get("invocation");
    const asked = { ...filter, tenant: tenantId };
    const found = await listDeliveries(db, asked, cursor || afterAllDeliveries, limit + 1);
    return c.json(toWalkedPage(found, limit, viewDelivery), 200);
  });
}
