/** `POST /v1/keys/{key}/rotate`: replaces a key that may do no more than the key that rotates it. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findKey } from "../../d1/tenants/keys.ts";
import { documented } from "../../domain/documented.ts";
import { mayDoMore } from "../../domain/keys.ts";
import { ApiError } from "../../errors.ts";
import { rotateKey } from "../../flows/tenants/tenant-keys.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import { alreadyRotated, madeKeyReply, noSuchKey, rotation, tooManyKeys, viewKey } from "./key-fields.ts";
import { authorizeKeyMaker, refuseStopped } from "./managing-key.ts";

const contract = createRoute({
  method: "post",
  path: "/v1/keys/{key}/rotate",
  operationId: "rotate-own-key",
  security: [{ key: [] }],
  middleware: [jsonBody] as const,
  request: {
    params: z.object({ key: z.string() }),
    body: { required: true, ...json(rotation, "The overlap.") },
  },
  ...documented(() => ({
    tags: ["Keys"],
    summary: "Replace a key by a new one",
    responses: {
      201: json(madeKeyReply, "The new key."),
      ...errorReplies(...keyErrors, ...bodyErrors, "not_found", "already_exists", "key_limit"),
    },
  })),
});

export function rotateOwnKey(api: Api): void {
  api.openapi(contract, async (c) => {
    const { key, tenantId, by } = await authorizeKeyMaker(c);
    const invocation = c.get("invocation");
    const id = c.req.valid("param").key;
    const target = await findKey(invocation.db, tenantId, id);
    if (!target) throw noSuchKey();
    if (id !== key.id && mayDoMore(target, key)) {
      throw new ApiError("scope_denied", "That key may do more than the one that would rotate it.");
    }
    const made = await rotateKey(invocation, by, tenantId, id, c.req.valid("json").overlap_seconds * 1000);
    if (made === "key_gone") return refuseStopped(c);
    if (!made) throw noSuchKey();
    if (made === "rotated") throw alreadyRotated();
    if (made === "full") throw tooManyKeys();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, notStored);
  });
}
