/** `POST /v1/tasks/{id}/cancel`: calls a task off that the upstream does not have. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { ApiError } from "../../errors.ts";
import { cancelTask } from "../../flows/tasks/cancel.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json, keyErrors } from "../../http/replies.ts";
import { unlessTaskRefused } from "./refusals.ts";
import { showTask } from "./show-task.ts";
import { taskReply } from "./task-reply.ts";

const contract = createRoute({
  method: "post",
  path: "/v1/tasks/{id}/cancel",
  operationId: "cancel-task",
  security: [{ key: [] }],
  request: { params: z.object({ id: z.string() }) },
  ...documented(() => ({
    tags: ["Tasks"],
    summary: "Cancel a task that was not sent yet",
    description: "Its hold is released.",
    responses: {
      200: json(taskReply, "The task, cancelled."),
      ...errorReplies(...keyErrors, "task_not_found", "task_not_cancellable", "deleted"),
    },
  })),
});

export function cancelTaskRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const result = unlessTaskRefused(await cancelTask(invocation, c.get("caller"), c.req.valid("param").id));
    switch (result.kind) {
      case "not_cancellable":
        throw new ApiError("task_not_cancellable", "The image service has this task, or it has ended.");
      case "cancelled": {
        const { task } = result;
        c.set("taskId", task.id);
        return c.json(await showTask(c, task), 200, { "cache-control": "no-store" });
      }
    }
  });
}
