/** `GET /admin/api/tenants/{id}/ledger`: reads a tenant's ledger. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies } from "../../http/replies.ts";
import { ledgerQuery, ledgerReply, replyWithLedger } from "../account/ledger-reply.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { noSuchTenant } from "./tenant-reply.ts";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tenants/{id}/ledger",
  operationId: "get-tenant-ledger",
  security: adminSecurity,
  request: { params: z.object({ id: z.string() }), query: ledgerQuery },
  ...documented(() => ({
    tags: ["Admin: money"],
    summary: "Read a tenant's ledger",
    responses: { 200: ledgerReply, ...errorReplies(...adminErrors, "not_found") },
  })),
});

export function getTenantLedger(api: Api): void {
  api.openapi(contract, async (c) => {
    const tenant = await findTenant(c.get("invocation").db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    return replyWithLedger(c, tenant.id, c.req.valid("query"));
  });
}
