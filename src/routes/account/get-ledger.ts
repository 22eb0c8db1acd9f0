/** `GET /v1/ledger`: a tenant's own ledger, by its key of scope `manage`. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { ledgerQuery, ledgerReply, replyWithLedger } from "./ledger-reply.ts";
import { authorizeManager } from "./managing-key.ts";

const contract = createRoute({
  method: "get",
  path: "/v1/ledger",
  operationId: "get-ledger",
  security: [{ key: [] }],
  request: { query: ledgerQuery },
  ...documented(() => ({
    tags: ["Account"],
    summary: "Read the tenant's ledger",
    responses: { 200: ledgerReply, ...errorReplies(...keyErrors) },
  })),
});

export function getLedger(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenantId } = await authorizeManager(c);
    return replyWithLedger(c, tenantId, c.req.valid("query"));
  });
}
