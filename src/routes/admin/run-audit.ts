/** `POST /admin/api/audit`: reconciles a few tenants, and repairs what it can, as cron does in turn. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { audit, auditContract } from "./audit-reply.ts";

const contract = createRoute({
  ...auditContract,
  method: "post",
  operationId: "run-audit",
  ...documented(() => ({
    summary: "Check, and repair what can be",
    description:
      "As `GET`, and holds that leaked are settled, tasks that the database lacks are written, settings are pushed again.",
  })),
});

export function runAudit(api: Api): void {
  api.openapi(contract, async (c) => {
    c.set("lookAt", "See the ledgers, or run the audit again: what it settles is settled once.");
    return c.json(await audit(c.get("invocation"), true, c.req.valid("query")), 200);
  });
}
