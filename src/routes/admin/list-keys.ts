/** `GET /admin/api/tenants/{id}/keys`: lists a tenant's keys. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { listKeys } from "../../d1/tenants/keys.ts";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { pageQuery, toPage } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { keyReply, viewKey } from "../account/key-fields.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { noSuchTenant } from "./tenant-reply.ts";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tenants/{id}/keys",
  operationId: "list-keys",
  security: adminSecurity,
  request: { params: z.object({ id: z.string() }), query: pageQuery },
  ...documented(() => ({
    tags: ["Admin: keys"],
    summary: "List a tenant's keys, by id",
    responses: {
      200: json(listReply(keyReply), "A page of keys, without the keys themselves."),
      ...errorReplies(...adminErrors, "not_found"),
    },
  })),
});

export function listKeysRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const { db } = c.get("invocation");
    const { cursor, limit } = c.req.valid("query");
    const tenant = await findTenant(db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    return c.json(toPage(await listKeys(db, tenant.id, cursor, limit + 1), limit, viewKey), 200);
  });
}
