/** `/admin/api/tenants/{id}/keys`: a tenant's keys. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { listKeys } from "../../d1/tenants/keys.ts";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { ApiError } from "../../errors.ts";
import { createKey, dropKey, rotateKey } from "../../flows/tenants/tenants.ts";
import type { Api } from "../../http/context.ts";
import { pageQuery, toPage } from "../../http/paging.ts";
import { bodyErrors, errorReplies, json, listReply } from "../../http/replies.ts";
import { jsonBody } from "../../http/validation.ts";
import {
  alreadyRotated,
  keyReply,
  madeKeyReply,
  newKey,
  rotation,
  viewKey,
  wantedKey,
} from "../account/key-fields.ts";
import { adminActor, adminErrors } from "./admin-actor.ts";
import { noSuchTenant } from "./admin-tenants.ts";

const shared = { tags: ["Admin: keys"], security: [{ admin: [] }] };
const path = "/admin/api/tenants/{id}/keys";
const params = z.object({ id: z.string() });
const keyParams = params.extend({ key: z.string() });
const secretHeaders = { "cache-control": "no-store" };

const create = createRoute({
  ...shared,
  method: "post",
  path,
  operationId: "create-key",
  summary: "Make a key",
  middleware: [jsonBody] as const,
  request: { params, body: { required: true, ...json(newKey, "The key.") } },
  responses: {
    201: json(madeKeyReply, "Made. `key` is shown this once; only its hash is stored."),
    ...errorReplies(...adminErrors, ...bodyErrors, "not_found"),
  },
});

const list = createRoute({
  ...shared,
  method: "get",
  path,
  operationId: "list-keys",
  summary: "List a tenant's keys, by id",
  request: { params, query: pageQuery },
  responses: {
    200: json(listReply(keyReply), "A page of keys, without the keys themselves."),
    ...errorReplies(...adminErrors, "not_found", "invalid_request"),
  },
});

const rotate = createRoute({
  ...shared,
  method: "post",
  path: `${path}/{key}/rotate`,
  operationId: "rotate-key",
  summary: "Replace a key by a new one",
  description: "The new key is as the old one was. The old one works on for `overlap_seconds`.",
  middleware: [jsonBody] as const,
  request: { params: keyParams, body: { required: true, ...json(rotation, "The overlap.") } },
  responses: {
    201: json(madeKeyReply, "The new key."),
    ...errorReplies(...adminErrors, ...bodyErrors, "not_found", "already_exists"),
  },
});

const revoke = createRoute({
  ...shared,
  method: "delete",
  path: `${path}/{key}`,
  operationId: "revoke-key",
  summary: "Revoke a key",
  description: "It is refused from the next request on. Revoking it again does nothing.",
  request: { params: keyParams },
  responses: { 204: { description: "Revoked." }, ...errorReplies(...adminErrors, "not_found") },
});

const noSuchKey = () => new ApiError("not_found", "There is no such key.");

export function adminKeys(api: Api): void {
  api.openapi(create, async (c) => {
    const invocation = c.get("invocation");
    const { id } = c.req.valid("param");
    const wanted = wantedKey(c.req.valid("json"), invocation.now());
    const made = await createKey(invocation, adminActor(c), id, wanted);
    if (!made) throw noSuchTenant();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, secretHeaders);
  });

  api.openapi(list, async (c) => {
    const { db } = c.get("invocation");
    const { cursor, limit } = c.req.valid("query");
    const tenant = await findTenant(db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    return c.json(toPage(await listKeys(db, tenant.id, cursor, limit + 1), limit, viewKey), 200);
  });

  api.openapi(rotate, async (c) => {
    const { id, key } = c.req.valid("param");
    const overlapMs = c.req.valid("json").overlap_seconds * 1000;
    const made = await rotateKey(c.get("invocation"), adminActor(c), id, key, overlapMs);
    if (!made) throw noSuchKey();
    if (made === "rotated") throw alreadyRotated();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, secretHeaders);
  });

  api.openapi(revoke, async (c) => {
    const { id, key } = c.req.valid("param");
    if (!(await dropKey(c.get("invocation"), adminActor(c), id, key))) throw noSuchKey();
    return c.body(null, 204);
  });
}
