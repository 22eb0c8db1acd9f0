/**
 * `GET /openapi.json`: OpenAPI 3.1, made from the schemas that validate. The build makes it (`openapi-document.ts`); which
 * server it names depends on the configuration and the request.
 */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { ApiError } from "../../errors.ts";
import { type Api, originOf } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { callBinding } from "../../platform/binding.ts";

const documentReply = documented(() =>
  z.looseObject({ openapi: z.string() }).meta({ examples: [{ openapi: "3.1.1" }] }),
);

const contract = createRoute({
  method: "get",
  path: "/openapi.json",
  operationId: "openapi",
  ...documented(() => ({
    tags: ["Health"],
    summary: "This document",
    responses: {
      200: json(documentReply, "OpenAPI 3.1."),
      ...errorReplies("invalid_request", "not_found", "unavailable"),
    },
  })),
});

export function openApiDocument(api: Api): void {
  api.openAPIRegistry.registerPath(contract);
  api.get(contract.path, async (c) => {
    const { assets, config } = c.get("invocation");
    const address = new URL(contract.path, originOf(c));
    const made = await callBinding("assets", () => assets.fetch(new Request(address)));
    if (made.status !== 200)
      throw new ApiError(
        "not_found",
        "There is no document. If the gateway is yours: npm run build makes it.",
      );
    const servers = [{ url: config.PUBLIC_BASE_URL ?? originOf(c) }];
    const text = JSON.stringify({ ...(await made.json<object>()), servers });
    return new Response(text, {
      headers: { "access-control-allow-origin": "*", "content-type": "application/json" },
    });
  });
}
