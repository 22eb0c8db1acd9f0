/** `POST /admin/api/tenants/{id}/keys/{key}/rotate`: replaces a tenant's key. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { rotateKey } from "../../flows/tenants/tenant-keys.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import {
  alreadyRotated,
  madeKeyReply,
  noSuchKey,
  rotation,
  tooManyKeys,
  viewKey,
} from "../account/key-fields.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";

const contract = createRoute({
  method: "post",
  path: "/admin/api/tenants/{id}/keys/{key}/rotate",
  operationId: "rotate-key",
  security: adminSecurity,
  middleware: [jsonBody] as const,
  request: {
    params: z.object({ id: z.string(), key: z.string() }),
    body: { required: true, ...json(rotation, "The overlap.") },
  },
  ...documented(() => ({
    tags: ["Admin: keys"],
    summary: "Replace a key by a new one",
    description: "The old one works on for `overlap_seconds`.",
    responses: {
      201: json(madeKeyReply, "The new key."),
      ...errorReplies(...adminErrors, ...bodyErrors, "not_found", "already_exists", "key_limit"),
    },
  })),
});

export function rotateKeyRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const { id, key } = c.req.valid("param");
    const overlapMs = c.req.valid("json").overlap_seconds * 1000;
    const made = await rotateKey(c.get("invocation"), adminActor(c), id, key, overlapMs);
    if (!made || made === "key_gone") throw noSuchKey();
    if (made === "rotated") throw alreadyRotated();
    if (made === "full") throw tooManyKeys();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, notStored);
  });
}
