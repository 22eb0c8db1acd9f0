/** `/admin/api/tenants/{id}/keys`: a tenant's keys. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { keyScopes } from "../../domain/keys.ts";
import { toSeconds } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import { createKey, dropKey } from "../../flows/tenants.ts";
import { type ListedKey, listKeys } from "../../store/keys.ts";
import { findTenant } from "../../store/tenants.ts";
import type { Api } from "../context.ts";
import { bodyErrors, errorReplies, json, listReply } from "../replies.ts";
import { invalidRequest, jsonBody } from "../validation.ts";
import { adminErrors, pageQuery, toPage } from "./pages.ts";
import { noSuchTenant } from "./tenants.ts";

const kind = z.enum(["secret"]);
const scopes = z.array(z.enum(keyScopes)).min(1);
const unixSeconds = z.int().min(0).max(4_102_444_800);

const newKey = z.strictObject({
  name: z.string().trim().min(1).max(200),
  kind,
  scopes: scopes.optional().meta({ description: "Default: all." }),
  expires_at: unixSeconds.nullable().optional().meta({ description: "Unix seconds. Default: never." }),
});

const keyReply = z
  .object({
    id: z.string(),
    object: z.literal("key"),
    name: z.string(),
    kind,
    scopes,
    created: z.int(),
    expires_at: z.int().nullable(),
    revoked_at: z.int().nullable(),
  })
  .meta({ id: "Key" });

const shared = { tags: ["Admin: keys"], security: [{ admin: [] }] };
const path = "/admin/api/tenants/{id}/keys";
const params = z.object({ id: z.string() });

const create = createRoute({
  ...shared,
  method: "post",
  path,
  operationId: "create-key",
  summary: "Make a key",
  middleware: [jsonBody] as const,
  request: { params, body: { required: true, ...json(newKey, "The key.") } },
  responses: {
    201: json(
      keyReply.extend({ key: z.string() }),
      "Made. `key` is shown this once; only its hash is stored.",
    ),
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

const revoke = createRoute({
  ...shared,
  method: "delete",
  path: `${path}/{key}`,
  operationId: "revoke-key",
  summary: "Revoke a key",
  description: "It is refused from the next request on. Revoking it again does nothing.",
  request: { params: params.extend({ key: z.string() }) },
  responses: { 204: { description: "Revoked." }, ...errorReplies(...adminErrors, "not_found") },
});

export function adminKeys(api: Api): void {
  api.openapi(create, async (c) => {
    const { expires_at = null, ...body } = c.req.valid("json");
    const deps = c.get("deps");
    const expiresMs = expires_at === null ? null : expires_at * 1000;
    if (expiresMs !== null && expiresMs <= deps.now()) {
      throw invalidRequest([{ path: ["expires_at"], message: "must be in the future" }]);
    }
    const wanted = { ...body, scopes: body.scopes ?? [...keyScopes], expiresMs };
    const made = await createKey(deps, c.req.valid("param").id, wanted);
    if (!made) throw noSuchTenant();
    return c.json({ ...view(made.stored), key: made.key }, 201, { "cache-control": "no-store" });
  });

  api.openapi(list, async (c) => {
    const { db } = c.get("deps");
    const { cursor, limit } = c.req.valid("query");
    const tenant = await findTenant(db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    return c.json(toPage(await listKeys(db, tenant.id, cursor, limit + 1), limit, view), 200);
  });

  api.openapi(revoke, async (c) => {
    const { id, key } = c.req.valid("param");
    if (!(await dropKey(c.get("deps"), id, key))) throw new ApiError("not_found", "There is no such key.");
    return c.body(null, 204);
  });
}

function view(key: ListedKey): z.output<typeof keyReply> {
  const { id, name, kind, scopes, createdMs, expiresMs, revokedMs } = key;
  return {
    id,
    object: "key",
    name,
    kind,
    scopes,
    created: toSeconds(createdMs),
    expires_at: expiresMs === null ? null : toSeconds(expiresMs),
    revoked_at: revokedMs === null ? null : toSeconds(revokedMs),
  };
}
