/** `DELETE /admin/api/tenants/{id}`: deletes a tenant whose tasks have ended. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { ApiError } from "../../errors.ts";
import { dropTenant } from "../../flows/erasure/erase.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies } from "../../http/replies.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";
import { noSuchTenant } from "./tenant-reply.ts";

const contract = createRoute({
  method: "delete",
  path: "/admin/api/tenants/{id}",
  operationId: "delete-tenant",
  security: adminSecurity,
  request: { params: z.object({ id: z.string() }) },
  ...documented(() => ({
    tags: ["Admin: tenants"],
    summary: "Delete a tenant",
    description:
      "Its keys stop at once; prompts and images are erased within the next minutes. Its ledger stays, and its id is " +
      "never used again.",
    responses: {
      202: { description: "It is being erased." },
      ...errorReplies(...adminErrors, "not_found", "tenant_busy"),
    },
  })),
});

export function deleteTenant(api: Api): void {
  api.openapi(contract, async (c) => {
    const result = await dropTenant(c.get("invocation"), adminActor(c), c.req.valid("param").id);
    if (result === "no_tenant") throw noSuchTenant();
    if (result === "busy") throw tenantBusy();
    return c.body(null, 202);
  });
}

function tenantBusy(): ApiError {
  return new ApiError(
    "tenant_busy",
    "Tasks of this tenant still run. Suspend it, and delete it when they have ended.",
  );
}
