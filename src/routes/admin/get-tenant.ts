/** `GET /admin/api/tenants/{id}`: reads a tenant. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { noSuchTenant, tenantDeleted, tenantReply, viewTenant } from "./tenant-reply.ts";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tenants/{id}",
  operationId: "get-tenant",
  security: adminSecurity,
  request: { params: z.object({ id: z.string() }) },
  ...documented(() => ({
    tags: ["Admin: tenants"],
    summary: "Read a tenant",
    responses: {
      200: json(tenantReply, "The tenant."),
      ...errorReplies(...adminErrors, "not_found", "deleted"),
    },
  })),
});

export function getTenant(api: Api): void {
  api.openapi(contract, async (c) => {
    const tenant = await findTenant(c.get("invocation").db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    if (tenant.deletedMs !== null) throw tenantDeleted();
    return c.json(await viewTenant(c, tenant), 200);
  });
}
