/** `POST /v1/images/generations`: submits a task. */
import { createRoute } from "@hono/zod-openapi";
import type { Config } from "../config.ts";
import { linkBases } from "../deps.ts";
import { hostOf } from "../domain/address.ts";
import { isFinished, viewTask } from "../domain/task.ts";
import { ApiError } from "../errors.ts";
import { submit } from "../flows/submit.ts";
import type { Api } from "./context.ts";
import { generationBody } from "./generation-request.ts";
import { keyRefused, upstreamRefused } from "./refusals.ts";
import { bodyErrors, errorReplies, json, keyErrors, limitHeaders, taskReply } from "./replies.ts";
import { type Issue, invalidRequest, jsonBody } from "./validation.ts";

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
        "rate_limited",
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
      const { model, metadata = {}, end_user: endUser = null, ...input } = c.req.valid("json");
      const bases = linkBases(config, c.get("origin"));
      const submission = {
        requestId: c.get("requestId"),
        origin: c.get("origin"),
        model,
        input,
        metadata,
        endUser,
      };
      const result = await submit(deps, { caller: c.get("caller"), ...submission });
      if (result.kind === "key_refused") throw keyRefused(result.refusal);
      const headers = limitHeaders(result.policies);
      switch (result.kind) {
        case "rate_limited": {
          const seconds = Math.ceil(result.retryAfterMs / 1000);
          throw new ApiError("rate_limited", `Too many requests: try again in ${seconds} s.`, {
            headers: { ...headers, "retry-after": String(seconds) },
          });
        }
        case "upstream_refused":
          throw upstreamRefused(result.code, headers);
        case "accepted": {
          c.set("taskId", result.task.id);
          const task = viewTask(result.task, bases);
          return c.json(task, 200, {
            ...headers,
            ...(isFinished(result.task) ? {} : { "retry-after": "3" }),
            location: `/v1/tasks/${task.id}`,
            "cache-control": "no-store",
          });
        }
      }
    },
    (result, c) => {
      const own = [linkBases(config, c.get("origin")).api, c.get("origin")];
      const issues = [...(result.success ? [] : result.error.issues), ...ownCallback(c.get("body"), own)];
      if (issues.length > 0) throw invalidRequest(issues);
    },
  );
}

/** A callback to the gateway itself would be a loop. Looked for in the body as it came, beside its other faults. */
function ownCallback(body: unknown, own: string[]): Issue[] {
  const callback = (body as { callback_url?: unknown } | null)?.callback_url;
  const url = typeof callback === "string" ? URL.parse(callback) : null;
  const isOwn = url !== null && own.some((origin) => hostOf(new URL(origin)) === hostOf(url));
  return isOwn ? [{ path: ["callback_url"], message: "must not be the gateway itself" }] : [];
}
