/** `GET /admin/api/tenants`: lists tenants. */
import { createRoute } from "@hono/zod-openapi";
import { listTenants } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { pageQuery, toPage } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { tenantReply, viewTenant } from "./tenant-reply.ts";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tenants",
  operationId: "list-tenants",
  security: adminSecurity,
  request: { query: pageQuery },
  ...documented(() => ({
    tags: ["Admin: tenants"],
    summary: "List tenants, by id",
    responses: {
      200: json(listReply(tenantReply), "A page of tenants."),
      ...errorReplies(...adminErrors),
    },
  })),
});

export function listTenantsRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const { cursor, limit } = c.req.valid("query");
    const found = await listTenants(c.get("invocation").db, cursor, limit + 1);
    const page = toPage(found, limit, (tenant) => tenant);
    return c.json(
      { ...page, data: await Promise.all(page.data.map((tenant) => viewTenant(c, tenant))) },
      200,
    );
  });
}
