/** `DELETE /v1/keys/{key}`: revokes a key. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findKey } from "../../d1/tenants/keys.ts";
import { documented } from "../../domain/documented.ts";
import { mayDoMore } from "../../domain/keys.ts";
import { ApiError } from "../../errors.ts";
import { dropKey } from "../../flows/tenants/tenant-keys.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { noSuchKey } from "./key-fields.ts";
import { authorizeManager, refuseStopped } from "./managing-key.ts";

const contract = createRoute({
  method: "delete",
  path: "/v1/keys/{key}",
  operationId: "revoke-own-key",
  security: [{ key: [] }],
  request: { params: z.object({ key: z.string() }) },
  ...documented(() => ({
    tags: ["Keys"],
    summary: "Revoke a key",
    responses: {
      204: { description: "Revoked." },
      ...errorReplies(...keyErrors, "not_found"),
    },
  })),
});

const lastManager =
  "This is the last key of scope manage that no other can replace. First make another one of its scopes, without limits " +
  "or an earlier end, or have the operator revoke it.";

export function revokeOwnKey(api: Api): void {
  api.openapi(contract, async (c) => {
    const { key, tenantId, by } = await authorizeManager(c);
    const invocation = c.get("invocation");
    const id = c.req.valid("param").key;
    const target = await findKey(invocation.db, tenantId, id);
    if (!target) throw noSuchKey();
    if (id !== key.id && mayDoMore(target, key))
      throw new ApiError("scope_denied", "That key may do more than the one that would revoke it.");
    const dropped = await dropKey(invocation, by, tenantId, id);
    if (dropped === "key_gone") return refuseStopped(c);
    if (!dropped) throw noSuchKey();
    if (dropped === "last_manager") throw new ApiError("scope_denied", lastManager);
    return c.body(null, 204);
  });
}
