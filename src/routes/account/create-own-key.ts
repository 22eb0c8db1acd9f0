/** `POST /v1/keys`: makes a key that may do no more than the key it is made with. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import { keyProblem } from "../../domain/keys.ts";
import { createKey } from "../../flows/tenants/tenant-keys.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { invalidRequest, jsonBody } from "../../http/validation.ts";
import { madeKeyReply, newKey, noSuchKey, tooManyKeys, viewKey, wantedKey } from "./key-fields.ts";
import { authorizeKeyMaker, refuseStopped } from "./managing-key.ts";

const contract = createRoute({
  method: "post",
  path: "/v1/keys",
  operationId: "create-own-key",
  security: [{ key: [] }],
  middleware: [jsonBody] as const,
  request: { body: { required: true, ...json(newKey, "The key.") } },
  ...documented(() => ({
    tags: ["Keys"],
    summary: "Make a key",
    description: "It can do no more than the key that makes it.",
    responses: {
      201: json(madeKeyReply, "Made."),
      ...errorReplies(...keyErrors, ...bodyErrors, "key_limit"),
    },
  })),
});

export function createOwnKey(api: Api): void {
  api.openapi(contract, async (c) => {
    const { key, tenantId, by } = await authorizeKeyMaker(c);
    const invocation = c.get("invocation");
    const wanted = wantedKey(c.req.valid("json"), invocation.now());
    const problem = keyProblem(wanted, key);
    if (problem)
      throw invalidRequest([{ path: [problem], message: "cannot go beyond the key that makes it" }]);
    const made = await createKey(invocation, by, tenantId, wanted);
    if (made === "key_gone") return refuseStopped(c);
    if (!made) throw noSuchKey();
    if (made === "full") throw tooManyKeys();
    return c.json({ ...viewKey(made.stored), key: made.key }, 201, notStored);
  });
}
