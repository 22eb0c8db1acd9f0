/** `DELETE /admin/api/tenants/{id}/keys/{key}`: revokes a tenant's key. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { dropKey } from "../../flows/tenants/tenant-keys.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies } from "../../http/replies.ts";
import { noSuchKey } from "../account/key-fields.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";

const contract = createRoute({
  method: "delete",
  path: "/admin/api/tenants/{id}/keys/{key}",
  operationId: "revoke-key",
  security: adminSecurity,
  request: { params: z.object({ id: z.string(), key: z.string() }) },
  ...documented(() => ({
    tags: ["Admin: keys"],
    summary: "Revoke a key",
    description: "It is refused from the next request on. Revoking it again does nothing.",
    responses: {
      204: { description: "Revoked." },
      ...errorReplies(...adminErrors, "not_found"),
    },
  })),
});

export function revokeKey(api: Api): void {
  api.openapi(contract, async (c) => {
    const { id, key } = c.req.valid("param");
    if (!(await dropKey(c.get("invocation"), adminActor(c), id, key))) throw noSuchKey();
    return c.body(null, 204);
  });
}
