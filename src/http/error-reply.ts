/** The reply to an error that a handler or a middleware throws: the one envelope, whatever was thrown. */
import { HTTPException } from "hono/http-exception";
import { chargedImages } from "../domain/account.ts";
import { StoredDataUnreadable } from "../domain/stored.ts";
import { isFinished, type Task } from "../domain/task.ts";
import { ApiError, errorBody, errorHeaders, errorStatus } from "../errors.ts";
import { BindingUnavailable } from "../platform/binding.ts";
import { describe } from "../platform/log.ts";
import { logUnreadable } from "../platform/unreadable.ts";
import type { AppContext } from "./context.ts";

/** Turns an error into its reply. An error of the gateway's own is logged with its reason, which no caller sees. */
export function replyToError(thrown: Error, c: AppContext): Response {
  const error = withTask(knownError(thrown, c.get("lookAt")), c.get("madeTask"));
  if (thrown instanceof StoredDataUnreadable) logUnreadable(c.get("invocation"), thrown);
  if (error.code === "internal_error" || error.code === "unavailable") {
    c.get("invocation").log({
      event: "request_failed",
      level: "error",
      request: c.get("requestId"),
      problem: describe(thrown),
    });
  }
  c.set("errorCode", error.code);
  return c.json(errorBody(error, c.get("requestId")), errorStatus(error.code), errorHeaders(error));
}

/** What fails once there is a task says what that costs, and where it is; a retry would make another one. */
function withTask({ code, message, details }: ApiError, task: Task | undefined): ApiError {
  if (!task || details.charged !== undefined) return new ApiError(code, message, details);
  const charged = !isFinished(task) ? "held" : chargedImages(task) > 0 ? "yes" : "no";
  const again: Record<string, string> = charged === "no" ? {} : { "x-should-retry": "false" };
  const headers = { ...details.headers, "x-task-id": task.id, ...again };
  const text =
    code === "unavailable"
      ? "The task was made, and cannot be shown right now. Read the one that `x-task-id` names."
      : message;
  return new ApiError(code, text, { ...details, charged, headers });
}

/** @param lookAt Set: credits may have moved, and what is no answer of the gateway's own leaves open whether they have. */
function knownError(thrown: Error, lookAt: string | undefined): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof HTTPException && thrown.status === 400) {
    return new ApiError("invalid_request", "The request is malformed.");
  }
  const isAway = thrown instanceof BindingUnavailable;
  const what = isAway ? "The gateway cannot answer right now." : "Something went wrong inside the gateway.";
  const free = isAway ? `${what} Nothing was charged; try again.` : what;
  return new ApiError(
    isAway ? "unavailable" : "internal_error",
    lookAt === undefined ? free : `${what} It is not known whether credits have moved. ${lookAt}`,
    {
      ...(lookAt !== undefined && { charged: "unknown" }),
      ...(isAway && { headers: { "retry-after": "1" } }),
    },
  );
}
