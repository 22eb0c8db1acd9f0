/** `GET /admin/api/audit`: reconciles a few tenants and changes nothing, and lists the audit log. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { audit, auditContract } from "./audit-reply.ts";

const contract = createRoute({
  ...auditContract,
  method: "get",
  operationId: "get-audit",
  ...documented(() => ({
    summary: "What must always hold, and whether it does",
    description:
      "Checks a number of tenants after `cursor`, whose problems are the list's data; what is younger than five minutes is left out.",
  })),
});

export function getAudit(api: Api): void {
  api.openapi(contract, async (c) =>
    c.json(await audit(c.get("invocation"), false, c.req.valid("query")), 200),
  );
}
