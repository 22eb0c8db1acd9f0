/** `POST /admin/api/audit/full`: checks every account, and verifies every ledger down to its first line. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import { auditFully } from "../../flows/cron/audit-fully.ts";
import { formatPlace, readPlace } from "../../flows/cron/reconcile.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { discrepancyReply } from "./audit-reply.ts";
import { noSuchTenant } from "./tenant-reply.ts";

const reply = documented(() =>
  z
    .object({
      ...listReply(discrepancyReply).shape,
      ok: z.boolean(),
      tenants_checked: z.int(),
      parts_verified: z.int().meta({ description: "Closed parts of ledgers." }),
    })
    .meta({
      examples: [
        { object: "list", ok: true, data: [], next_cursor: null, tenants_checked: 1, parts_verified: 12 },
      ],
    }),
);

/** A tenant, and the number that its parts go on before, or where comparing its tasks does. */
const cursorPattern = /^([a-z0-9-]{3,32}(:\d{1,16}(:[a-z0-9~-]{0,36})?)?)?$/;

const contract = createRoute({
  method: "post",
  path: "/admin/api/audit/full",
  operationId: "run-full-audit",
  security: adminSecurity,
  request: {
    query: z.object({
      tenant: z
        .string()
        .max(32)
        .optional()
        .meta(documented(() => ({ description: "One tenant alone." }))),
      cursor: z.string().regex(cursorPattern, "must be a next_cursor").default(""),
    }),
  },
  ...documented(() => ({
    tags: ["Admin: overview"],
    summary: "Verify all ledgers, down to the first line",
    description:
      "Changes nothing. Each call checks some tenants and verifies some parts: go on with `next_cursor` until it is null.",
    responses: { 200: json(reply, "What was verified."), ...errorReplies(...adminErrors, "not_found") },
  })),
});

export function runFullAudit(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenant, cursor } = c.req.valid("query");
    const invocation = c.get("invocation");
    if (tenant !== undefined && !(await findTenant(invocation.db, tenant))) throw noSuchTenant();
    const [begun, rest] = readPlace(cursor);
    const audited = await auditFully(invocation, tenant ?? null, cursor ? { tenant: begun, rest } : null);
    return c.json(
      {
        object: "list" as const,
        ok: audited.discrepancies.length === 0,
        data: audited.discrepancies,
        next_cursor: audited.next && formatPlace(audited.next.tenant, audited.next.rest),
        tenants_checked: audited.tenants,
        parts_verified: audited.parts,
      },
      200,
    );
  });
}
