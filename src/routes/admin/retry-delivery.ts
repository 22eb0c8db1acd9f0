/** `POST /admin/api/webhooks/{id}/retry`: attempts a delivery again, for any tenant. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { retryNow } from "../../flows/webhooks/retry-delivery.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { deliveryReply, noSuchDelivery, viewDelivery } from "../webhooks/delivery-reply.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";

const contract = createRoute({
  method: "post",
  path: "/admin/api/webhooks/{id}/retry",
  operationId: "retry-delivery",
  security: adminSecurity,
  request: { params: z.object({ id: z.string() }) },
  ...documented(() => ({
    tags: ["Admin: webhooks"],
    summary: "Attempt a delivery again now",
    responses: {
      202: json(deliveryReply, "It is attempted at once."),
      ...errorReplies(...adminErrors, "not_found"),
    },
  })),
});

export function retryDelivery(api: Api): void {
  api.openapi(contract, async (c) => {
    const delivery = await retryNow(c.get("invocation"), adminActor(c), null, c.req.valid("param").id);
    if (!delivery) throw noSuchDelivery();
    return c.json(viewDelivery(delivery), 202);
  });
}
