/** `POST /admin/api/tenants/{id}/keys`: makes a key of a tenant. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { createKey } from "../../flows/tenants/tenant-keys.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import { madeKeyReply, newKey, tooManyKeys, viewKey, wantedKey } from "../account/key-fields.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";
import { noSuchTenant } from "./tenant-reply.ts";

const contract = createRoute({
  method: "post",
  path: "/admin/api/tenants/{id}/keys",
  operationId: "create-key",
  security: adminSecurity,
  middleware: [jsonBody] as const,
  request: { params: z.object({ id: z.string() }), body: { required: true, ...json(newKey, "The key.") } },
  ...documented(() => ({
    tags: ["Admin: keys"],
    summary: "Make a key",
    responses: {
      201: json(madeKeyReply, "Made. `key` is shown this once; only its hash is stored."),
      ...errorReplies(...adminErrors, ...bodyErrors, "key_limit", "not_found"),
    },
  })),
});

export function createKeyRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const { id } = c.req.valid("param");
    const wanted = wantedKey(c.req.valid("json"), invocation.now());
    const made = await createKey(invocation, adminActor(c), id, wanted);
    if (!made || made === "key_gone") throw noSuchTenant();
    if (made === "full") throw tooManyKeys();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, notStored);
  });
}
