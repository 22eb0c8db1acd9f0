/** `POST /v1/images/generations`: submits a task. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../config.ts";
import { isFinished, type Task } from "../domain/task.ts";
import { submit } from "../flows/submit.ts";
import { networkAddress, tooManyFrom } from "./authenticate.ts";
import type { Api, AppContext } from "./context.ts";
import { checkGeneration, refuseToPublic } from "./generation-checks.ts";
import { generationBody } from "./generation-request.ts";
import { keyRefused, submissionRefused } from "./refusals.ts";
import { bodyErrors, errorReplies, json, keyErrors, limitHeaders, taskReply } from "./replies.ts";
import { showTask } from "./show-task.ts";
import { jsonBody } from "./validation.ts";
import { preferHeader, waitAsAsked } from "./waiting.ts";

/** Visible ASCII. */
const idempotencyKeyPattern = /^[\x21-\x7e]{1,255}$/;

const submissionHeaders = z.object({
  ...preferHeader,
  "idempotency-key": z
    .string()
    .regex(idempotencyKeyPattern, "must be 1 to 255 visible ASCII characters")
    .optional()
    .meta({ description: "The same key and body within 24 hours answer with the same task." }),
});

const contract = (config: Config) =>
  createRoute({
    method: "post",
    path: "/v1/images/generations",
    operationId: "create-image",
    tags: ["Images"],
    summary: "Submit an image task",
    security: [{ key: [] }],
    middleware: [jsonBody] as const,
    request: {
      headers: submissionHeaders,
      body: {
        required: true,
        ...json(generationBody({ allowPrivate: config.ALLOW_PRIVATE_NETWORK }), "What to make."),
      },
    },
    responses: {
      200: json(taskReply, "The task, written down: whatever crashes next, it ends."),
      ...errorReplies(
        ...bodyErrors,
        ...keyErrors,
        "model_not_allowed",
        "token_spent",
        "insufficient_balance",
        "too_many_tasks",
        "quota_exceeded",
        "idempotency_in_progress",
        "idempotency_key_reused",
        "deleted",
        "content_policy_violation",
        "invalid_parameters",
        "invalid_media_url",
        "upstream_rejected",
      ),
    },
  });

export function createImage(api: Api, config: Config): void {
  api.openapi(
    contract(config),
    async (c) => {
      const deps = c.get("deps");
      const caller = c.get("caller");
      const { model, metadata = {}, end_user = null, ...input } = c.req.valid("json");
      if (caller.kind !== "secret") {
        refuseToPublic(input);
        if (await deps.tooMany("submissions", networkAddress(c))) throw tooManyFrom();
      }
      const result = await submit(deps, {
        caller,
        requestId: c.get("requestId"),
        origin: c.get("origin"),
        model,
        input,
        metadata,
        endUser: caller.token?.endUser ?? end_user,
        repetition: repetitionOf(c, c.req.valid("header")["idempotency-key"] ?? null),
      });
      if (result.kind === "key_refused") throw keyRefused(result.refusal);
      const headers = limitHeaders(result.policies);
      const showCredits = caller.kind === "secret";
      if (result.kind !== "accepted" && result.kind !== "replayed")
        throw submissionRefused(result, headers, showCredits);
      const { kind } = result;
      c.set("taskId", result.task.id);
      const { task, headers: waited } = await waitAsAsked(c, result.task, undefined);
      const replayed: Record<string, string> = kind === "replayed" ? { "idempotency-replayed": "true" } : {};
      return c.json(await showTask(c, task), 200, {
        ...headers,
        ...taskHeaders(task),
        ...waited,
        ...replayed,
      });
    },
    (result, c) => {
      checkGeneration(result, c, config);
    },
  );
}

function taskHeaders(task: Task): Record<string, string> {
  return {
    ...(isFinished(task) ? {} : { "retry-after": "3" }),
    location: `/v1/tasks/${task.id}`,
    "cache-control": "no-store",
  };
}

function repetitionOf(c: AppContext, key: string | null) {
  const retries = Number(c.req.header("x-stainless-retry-count") ?? 0);
  return { key, retries: Number.isInteger(retries) && retries > 0 ? retries : 0, ip: networkAddress(c) };
}
