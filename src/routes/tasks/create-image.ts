/** `POST /v1/images/generations`: submits a task. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { documented } from "../../domain/documented.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { headers, limitFields, withHeaders } from "../../http/reply-headers.ts";
import { jsonBody } from "../../http/validation.ts";
import { checkGeneration } from "./generation-checks.ts";
import { generationBody, toTaskRequest } from "./generation-request.ts";
import { showTask } from "./show-task.ts";
import { idempotencyHeader, submissionErrors, submitAsked, taskHeaders } from "./submission.ts";
import { taskReply } from "./task-reply.ts";
import { preferHeader, waitAsAsked } from "./waiting.ts";

const contract = (config: Config) =>
  createRoute({
    method: "post",
    path: "/v1/images/generations",
    operationId: "create-image",
    security: [{ key: [] }],
    middleware: [jsonBody] as const,
    request: {
      headers: z.object({ ...preferHeader, ...idempotencyHeader }),
      body: {
        required: true,
        ...json(generationBody({ allowPrivate: config.ALLOW_PRIVATE_NETWORK }), "What to make."),
      },
    },
    ...documented(() => ({
      tags: ["Images"],
      summary: "Submit an image task",
      responses: {
        200: {
          ...json(taskReply, "The task, written down: whatever crashes next, it ends."),
          headers: headers(
            ...limitFields,
            "location",
            "retry-after",
            "idempotency-replayed",
            "preference-applied",
            "cache-control",
          ),
        },
        ...withHeaders(errorReplies(...submissionErrors), ...limitFields),
      },
    })),
  });

export function createImage(api: Api, config: Config): void {
  api.openapi(
    contract(config),
    async (c) => {
      const idempotencyKey = c.req.valid("header")["idempotency-key"] ?? null;
      const submitted = await submitAsked(c, { ...toTaskRequest(c.req.valid("json")), idempotencyKey });
      const { task, headers: waited } = await waitAsAsked(c, submitted.task);
      return c.json(await showTask(c, task), 200, {
        ...submitted.headers,
        ...taskHeaders(task),
        ...waited,
      });
    },
    (result, c) => {
      checkGeneration(result, c, config);
    },
  );
}
