/** `GET /v1/models`, in the shape of OpenAI's list. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { allowedModels } from "../../domain/access.ts";
import { documented } from "../../domain/documented.ts";
import { defaultModel, imagePrice, modelCatalog, models } from "../../domain/model-catalog.ts";
import { authorize } from "../../flows/tenants/authorize.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json, keyErrors } from "../../http/replies.ts";
import { keyRefused } from "../tasks/refusals.ts";

const modelReply = documented(() =>
  z
    .object({
      id: z.enum(models),
      object: z.literal("model"),
      created: z.int(),
      owned_by: z.string(),
      price: z.int().meta({ description: "Credits per image, for this tenant." }),
    })
    .meta({
      examples: [
        {
          id: defaultModel,
          object: "model",
          created: 1_767_225_600,
          owned_by: "wan-gateway",
          price: modelCatalog[defaultModel].defaultPrice,
        },
      ],
    }),
);

export const modelsContract = (path: string, operationId: string, tag: string) =>
  createRoute({
    method: "get",
    path,
    operationId,
    security: [{ key: [] }],
    ...documented(() => ({
      tags: [tag],
      summary: "List the models that this key may use",
      responses: {
        200: json(z.object({ object: z.literal("list"), data: z.array(modelReply) }), "The models."),
        ...errorReplies(...keyErrors),
      },
    })),
  });

/** The models do not come and go, and OpenAI's clients want a date. */
const modelsSince = 1_767_225_600;

export function listModels(api: Api, config: Config): void {
  serveModels(api, config, modelsContract("/v1/models", "list-models", "Models"));
}

/** Serves the list; the two routes differ in their contracts alone. */
export function serveModels(api: Api, config: Config, route: ReturnType<typeof modelsContract>): void {
  api.openapi(route, async (c) => {
    const caller = c.get("caller");
    const authorized = await authorize(c.get("invocation"), caller, { action: "quote" });
    if (authorized.kind === "key_refused") throw keyRefused(authorized.refusal);
    const { key, tenant } = authorized.known;
    const data = allowedModels(caller, key, tenant).map((id) => ({
      id,
      object: "model" as const,
      created: modelsSince,
      owned_by: "wan-gateway",
      price: imagePrice(id, tenant.prices, config.PRICES[id]),
    }));
    return c.json({ object: "list" as const, data }, 200, { "cache-control": "no-store" });
  });
}
