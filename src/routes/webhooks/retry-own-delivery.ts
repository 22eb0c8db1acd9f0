/** `POST /v1/webhook/deliveries/{id}/retry`: attempts a delivery of the tenant's again. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { retryNow } from "../../flows/webhooks/retry-delivery.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json, keyErrors } from "../../http/replies.ts";
import { authorizeManager } from "../account/managing-key.ts";
import { deliveryReply, noSuchDelivery, viewDelivery } from "./delivery-reply.ts";

const contract = createRoute({
  method: "post",
  path: "/v1/webhook/deliveries/{id}/retry",
  operationId: "retry-own-delivery",
  security: [{ key: [] }],
  request: { params: z.object({ id: z.string() }) },
  ...documented(() => ({
    tags: ["Webhooks"],
    summary: "Attempt a delivery again now",
    responses: {
      202: json(deliveryReply, "It is attempted at once."),
      ...errorReplies(...keyErrors, "not_found"),
    },
  })),
});

export function retryOwnDelivery(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenantId, by } = await authorizeManager(c);
    const delivery = await retryNow(c.get("invocation"), by, tenantId, c.req.valid("param").id);
    if (!delivery) throw noSuchDelivery();
    return c.json(viewDelivery(delivery), 202);
  });
}
