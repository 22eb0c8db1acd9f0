/** `GET /admin/api/webhooks`: the delivery log of all tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { listDeliveries } from "../../d1/webhooks/delivery-log.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { toWalkedPage, walkedPages } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import {
  afterAllDeliveries,
  deliveryQuery,
  deliveryReply,
  viewDelivery,
} from "../webhooks/delivery-reply.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";

const contract = createRoute({
  method: "get",
  path: "/admin/api/webhooks",
  operationId: "list-deliveries",
  security: adminSecurity,
  request: { query: deliveryQuery.extend({ tenant: z.string().max(32).optional() }) },
  ...documented(() => ({
    tags: ["Admin: webhooks"],
    summary: "List the deliveries to all tenants, newest first",
    description: `Goes back for thirty days. ${walkedPages}`,
    responses: {
      200: json(listReply(deliveryReply), "A page of deliveries."),
      ...errorReplies(...adminErrors),
    },
  })),
});

export function listDeliveriesRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const { cursor, limit, ...filter } = c.req.valid("query");
    const { db } = c.get("invocation");
    const found = await listDeliveries(db, filter, cursor || afterAllDeliveries, limit + 1);
    return c.json(toWalkedPage(found, limit, viewDelivery), 200);
  });
}
