/** `POST /openai/v1/images/generations`: what OpenAI's clients send, answered once the pictures are there. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { json } from "../../http/replies.ts";
import { jsonBody } from "../../http/validation.ts";
import { checkGeneration } from "../tasks/generation-checks.ts";
import { idempotencyHeader, submitAsked } from "../tasks/submission.ts";
import { imagesReply, openAiErrors } from "./openai-document.ts";
import { replyWithImages } from "./openai-reply.ts";
import { openAiGeneration, toOpenAiRequest } from "./openai-request.ts";

const contract = (config: Config) =>
  createRoute({
    method: "post",
    path: "/openai/v1/images/generations",
    operationId: "openai-create-image",
    security: [{ key: [] }],
    middleware: [jsonBody] as const,
    request: {
      headers: z.object(idempotencyHeader),
      body: { required: true, ...json(openAiGeneration(config), "What to make.") },
    },
    ...documented(() => ({
      tags: ["OpenAI"],
      summary: "Make images, in OpenAI's words",
      description:
        "Answers when the task has ended, ten minutes later at the most. For 55 s nothing is sent; after that white " +
        "space keeps the connection, and a failure breaks it.",
      responses: { 200: imagesReply("image_generation.completed"), ...openAiErrors },
    })),
  });

export function openAiCreateImage(api: Api, config: Config): void {
  api.openapi(
    contract(config),
    async (c) => {
      const { stream, format, ...asked } = toOpenAiRequest(config, c.req.valid("json"));
      const idempotencyKey = c.req.valid("header")["idempotency-key"] ?? null;
      const { task, headers } = await submitAsked(c, { ...asked, idempotencyKey });
      return replyWithImages(c, task, headers, { stream, format, event: "image_generation.completed" });
    },
    (result, c) => {
      checkGeneration(result, c, config);
    },
  );
}
