/** `POST /v1/images/generations`: submits a task. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import type { Config } from "../config.ts";
import { linkBases } from "../deps.ts";
import { hostOf } from "../domain/address.ts";
import { browserMaxImages } from "../domain/keys.ts";
import { isFinished, type Task, viewTask } from "../domain/task.ts";
import { ApiError } from "../errors.ts";
import { submit } from "../flows/submit.ts";
import { networkAddress, tooManyFrom } from "./authenticate.ts";
import type { Api, AppContext } from "./context.ts";
import { generationBody } from "./generation-request.ts";
import { keyRefused, submissionRefused } from "./refusals.ts";
import { bodyErrors, errorReplies, json, keyErrors, limitHeaders, taskReply } from "./replies.ts";
import { type Issue, invalidRequest, jsonBody } from "./validation.ts";

/** Visible ASCII. */
const idempotencyKeyPattern = /^[\x21-\x7e]{1,255}$/;

const submissionHeaders = z.object({
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
      const { task, kind } = result;
      c.set("taskId", task.id);
      const replayed: Record<string, string> = kind === "replayed" ? { "idempotency-replayed": "true" } : {};
      const view = viewTask(task, linkBases(config, task.origin), showCredits);
      return c.json(view, 200, { ...headers, ...taskHeaders(task), ...replayed });
    },
    (result, c) => {
      // Headers are validated first, and have nothing to do with the body's faults.
      if (result.target !== "json") {
        if (!result.success) throw invalidRequest(result.error.issues);
        return;
      }
      const own = [linkBases(config, c.get("origin")).api, c.get("origin")];
      const issues = [...(result.success ? [] : result.error.issues), ...ownCallback(c.get("body"), own)];
      if (issues.length > 0) throw invalidRequest(issues);
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

/** What nobody may ask for from a page. */
function refuseToPublic(input: { n: number; callback_url?: unknown }): void {
  if (input.callback_url !== undefined) {
    const text = "callback_url: is for secret keys only";
    throw new ApiError("scope_denied", text, { param: "callback_url" });
  }
  if (input.n > browserMaxImages) {
    const message = `must be at most ${browserMaxImages} with a browser key or client token`;
    throw invalidRequest([{ path: ["n"], message }]);
  }
}

function repetitionOf(c: AppContext, key: string | null) {
  const retries = Number(c.req.header("x-stainless-retry-count") ?? 0);
  return { key, retries: Number.isInteger(retries) && retries > 0 ? retries : 0, ip: networkAddress(c) };
}

/** A callback to the gateway itself would be a loop. Looked for in the body as it came, beside its other faults. */
function ownCallback(body: unknown, own: string[]): Issue[] {
  const callback = (body as { callback_url?: unknown } | null)?.callback_url;
  const url = typeof callback === "string" ? URL.parse(callback) : null;
  const isOwn = url !== null && own.some((origin) => hostOf(new URL(origin)) === hostOf(url));
  return isOwn ? [{ path: ["callback_url"], message: "must not be the gateway itself" }] : [];
}
