/** `DELETE /v1/keys/{key}`: revokes a key. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { dropKey } from "../../flows/tenants/tenant-keys.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { noSuchKey } from "./key-fields.ts";
import { authorizeManager } from "./managing-key.ts";

const contract = createRoute({
  method: "delete",
  path: "/v1/keys/{key}",
  operationId: "revoke-own-key",
  tags: ["Keys"],
  security: [{ key: [] }],
  summary: "Revoke a key",
  request: { params: z.object({ key: z.string() }) },
  responses: { 204: { description: "Revoked." }, ...errorReplies(...keyErrors, "not_found") },
});

export function revokeOwnKey(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenantId, by } = await authorizeManager(c);
    if (!(await dropKey(c.get("invocation"), by, tenantId, c.req.valid("param").key))) throw noSuchKey();
    return c.body(null, 204);
  });
}
