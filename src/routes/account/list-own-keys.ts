/** `GET /v1/keys`: lists a tenant's keys. */
import { createRoute } from "@hono/zod-openapi";
import { listKeys } from "../../d1/tenants/keys.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { pageQuery, toPage } from "../../http/paging.ts";
import { errorReplies, json, keyErrors, listReply } from "../../http/replies.ts";
import { keyReply, viewKey } from "./key-fields.ts";
import { authorizeManager } from "./managing-key.ts";

const contract = createRoute({
  method: "get",
  path: "/v1/keys",
  operationId: "list-own-keys",
  security: [{ key: [] }],
  request: { query: pageQuery },
  ...documented(() => ({
    tags: ["Keys"],
    summary: "List the tenant's keys, by id",
    responses: {
      200: json(listReply(keyReply), "A page of keys, without the keys themselves."),
      ...errorReplies(...keyErrors),
    },
  })),
});

export function listOwnKeys(api: Api): void {
  api.openapi(contract, async (c) => {
    const { tenantId } = await authorizeManager(c);
    const { cursor, limit } = c.req.valid("query");
    return c.json(
      toPage(await listKeys(c.get("invocation").db, tenantId, cursor, limit + 1), limit, viewKey),
      200,
    );
  });
}
