/** `/admin/api/webhooks`: the delivery log of all tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { listDeliveries } from "../../d1/webhooks/delivery-log.ts";
import { ApiError } from "../../errors.ts";
import { retryNow } from "../../flows/webhooks/retry-delivery.ts";
import type { Api } from "../../http/context.ts";
import { toPage } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import {
  afterAllDeliveries,
  deliveryQuery,
  deliveryReply,
  viewDelivery,
} from "../webhooks/webhook-fields.ts";
import { adminActor, adminErrors } from "./admin-actor.ts";

const shared = { tags: ["Admin: webhooks"], security: [{ admin: [] }] };
const path = "/admin/api/webhooks";

const list = createRoute({
  ...shared,
  method: "get",
  path,
  operationId: "list-deliveries",
  summary: "List what was, or is to be, told to tenants, newest first",
  description: "Goes back for thirty days.",
  request: { query: deliveryQuery.extend({ tenant: z.string().max(32).optional() }) },
  responses: {
    200: json(listReply(deliveryReply), "A page of deliveries."),
    ...errorReplies(...adminErrors, "invalid_request"),
  },
});

const retry = createRoute({
  ...shared,
  method: "post",
  path: `${path}/{id}/retry`,
  operationId: "retry-delivery",
  summary: "Try a delivery again now",
  request: { params: z.object({ id: z.string() }) },
  responses: {
    202: json(deliveryReply, "It is attempted at once."),
    ...errorReplies(...adminErrors, "not_found"),
  },
});

export function adminWebhooks(api: Api): void {
  api.openapi(list, async (c) => {
    const { cursor, limit, ...filter } = c.req.valid("query");
    const found = await listDeliveries(
      c.get("invocation").db,
      filter,
      cursor || afterAllDeliveries,
      limit + 1,
    );
    return c.json(toPage(found, limit, viewDelivery), 200);
  });

  api.openapi(retry, async (c) => {
    const delivery = await retryNow(c.get("invocation"), adminActor(c), null, c.req.valid("param").id);
    if (!delivery) throw new ApiError("not_found", "There is no such delivery.");
    return c.json(viewDelivery(delivery), 202);
  });
}
