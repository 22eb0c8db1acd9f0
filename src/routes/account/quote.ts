/** `POST /v1/quote`: what a submission would cost. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { documented } from "../../domain/documented.ts";
import { imagePrice } from "../../domain/model-catalog.ts";
import { authorize } from "../../flows/tenants/authorize.ts";
import type { Api } from "../../http/context.ts";
import { bodyErrors, errorReplies, json, keyErrors } from "../../http/replies.ts";
import { jsonBody } from "../../http/validation.ts";
import { checkGeneration, refuseToPublic } from "../tasks/generation-checks.ts";
import { generationBody } from "../tasks/generation-request.ts";
import { keyRefused } from "../tasks/refusals.ts";

const contract = (config: Config) =>
  createRoute({
    method: "post",
    path: "/v1/quote",
    operationId: "quote",
    security: [{ key: [] }],
    middleware: [jsonBody] as const,
    request: {
      body: {
        required: true,
        ...json(generationBody({ allowPrivate: config.ALLOW_PRIVATE_NETWORK }), "What would be made."),
      },
    },
    ...documented(() => ({
      tags: ["Models"],
      summary: "What a submission would cost at the most",
      description: "Takes the body of a generation. Holds nothing and counts as nothing.",
      responses: {
        200: json(
          z.object({ credits: z.int(), images: z.int() }).meta({ examples: [{ credits: 60, images: 2 }] }),
          "What is held at submission; only stored images are charged.",
        ),
        ...errorReplies(...bodyErrors, ...keyErrors, "model_not_allowed"),
      },
    })),
  });

export function quote(api: Api, config: Config): void {
  api.openapi(
    contract(config),
    async (c) => {
      const caller = c.get("caller");
      const body = c.req.valid("json");
      const { model, n } = body;
      if (caller.kind !== "secret") refuseToPublic(body);
      const authorized = await authorize(c.get("invocation"), caller, { action: "quote", model });
      if (authorized.kind === "key_refused") throw keyRefused(authorized.refusal);
      const price = imagePrice(model, authorized.known.tenant.prices, config.PRICES[model]);
      return c.json({ credits: price * n, images: n }, 200, { "cache-control": "no-store" });
    },
    (result, c) => {
      checkGeneration(result, c, config);
    },
  );
}
