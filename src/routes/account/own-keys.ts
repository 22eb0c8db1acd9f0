/**
 * `/v1/keys`: a tenant's keys, by the tenant's own key of scope `manage`. Nobody makes, or takes over by rotation,
 * a key that may do more than the one it is made with.
 */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findKey, listKeys } from "../../d1/tenants/keys.ts";
import { hasOwnLimits, keyProblem, type StoredKey } from "../../domain/keys.ts";
import { ApiError } from "../../errors.ts";
import { authorize } from "../../flows/tenants/authorize.ts";
import { type Actor, createKey, dropKey, rotateKey } from "../../flows/tenants/tenants.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { pageQuery, toPage } from "../../http/paging.ts";
import { bodyErrors, errorReplies, json, keyErrors, listReply } from "../../http/replies.ts";
import { invalidRequest, jsonBody } from "../../http/validation.ts";
import { keyRefused } from "../tasks/refusals.ts";
import {
  alreadyRotated,
  keyReply,
  madeKeyReply,
  newKey,
  rotation,
  viewKey,
  wantedKey,
} from "./key-fields.ts";

const shared = { tags: ["Keys"], security: [{ key: [] }] };
const params = z.object({ key: z.string() });
const secretHeaders = { "cache-control": "no-store" };

const create = createRoute({
  ...shared,
  method: "post",
  path: "/v1/keys",
  operationId: "create-own-key",
  summary: "Make a key",
  description: "It can do no more than the key that makes it.",
  middleware: [jsonBody] as const,
  request: { body: { required: true, ...json(newKey, "The key.") } },
  responses: { 201: json(madeKeyReply, "Made."), ...errorReplies(...keyErrors, ...bodyErrors) },
});

const list = createRoute({
  ...shared,
  method: "get",
  path: "/v1/keys",
  operationId: "list-own-keys",
  summary: "List the tenant's keys, by id",
  request: { query: pageQuery },
  responses: {
    200: json(listReply(keyReply), "A page of keys, without the keys themselves."),
    ...errorReplies(...keyErrors, "invalid_request"),
  },
});

const rotate = createRoute({
  ...shared,
  method: "post",
  path: "/v1/keys/{key}/rotate",
  operationId: "rotate-own-key",
  summary: "Replace a key by a new one",
  middleware: [jsonBody] as const,
  request: { params, body: { required: true, ...json(rotation, "The overlap.") } },
  responses: {
    201: json(madeKeyReply, "The new key."),
    ...errorReplies(...keyErrors, ...bodyErrors, "not_found", "already_exists"),
  },
});

const revoke = createRoute({
  ...shared,
  method: "delete",
  path: "/v1/keys/{key}",
  operationId: "revoke-own-key",
  summary: "Revoke a key",
  request: { params },
  responses: { 204: { description: "Revoked." }, ...errorReplies(...keyErrors, "not_found") },
});

const noSuchKey = () => new ApiError("not_found", "There is no such key.");

/** Lets a key of scope `manage` in; gives it as it is stored. */
export async function manager(c: AppContext): Promise<{ key: StoredKey; tenantId: string; by: Actor }> {
  const caller = c.get("caller");
  const authorized = await authorize(c.get("invocation"), caller, { action: "manage" });
  if (authorized.kind === "key_refused") throw keyRefused(authorized.refusal);
  const by = { actor: caller.keyId, requestId: c.get("requestId") };
  return { key: authorized.known.key, tenantId: caller.tenantId, by };
}

/** Lets a key of scope `manage` in that may make others: one with limits of its own would escape them so. */
async function maker(c: AppContext) {
  const authorized = await manager(c);
  if (hasOwnLimits(authorized.key)) {
    throw new ApiError("scope_denied", "A key with limits of its own makes and rotates no keys.");
  }
  return authorized;
}

/** Lets a key of scope `manage` in; gives its tenant. */
export async function managingTenant(c: AppContext): Promise<string> {
  return (await manager(c)).tenantId;
}

export function ownKeys(api: Api): void {
  api.openapi(create, async (c) => {
    const { key, tenantId, by } = await maker(c);
    const invocation = c.get("invocation");
    const wanted = wantedKey(c.req.valid("json"), invocation.now());
    const problem = keyProblem(wanted, key);
    if (problem)
      throw invalidRequest([{ path: [problem], message: "cannot go beyond the key that makes it" }]);
    const made = await createKey(invocation, by, tenantId, wanted);
    if (!made) throw noSuchKey();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, secretHeaders);
  });

  api.openapi(list, async (c) => {
    const { tenantId } = await manager(c);
    const { cursor, limit } = c.req.valid("query");
    return c.json(
      toPage(await listKeys(c.get("invocation").db, tenantId, cursor, limit + 1), limit, viewKey),
      200,
    );
  });

  api.openapi(rotate, async (c) => {
    const { key, tenantId, by } = await maker(c);
    const invocation = c.get("invocation");
    const id = c.req.valid("param").key;
    const target = await findKey(invocation.db, tenantId, id);
    if (!target) throw noSuchKey();
    if (id !== key.id && keyProblem(target, key)) {
      throw new ApiError("scope_denied", "That key may do more than the one that would rotate it.");
    }
    const made = await rotateKey(invocation, by, tenantId, id, c.req.valid("json").overlap_seconds * 1000);
    if (!made) throw noSuchKey();
    if (made === "rotated") throw alreadyRotated();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, secretHeaders);
  });

  api.openapi(revoke, async (c) => {
    const { tenantId, by } = await manager(c);
    if (!(await dropKey(c.get("invocation"), by, tenantId, c.req.valid("param").key))) throw noSuchKey();
    return c.body(null, 204);
  });
}
