/** `DELETE /v1/tasks/{id}`: erases a task that has ended. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { ApiError } from "../../errors.ts";
import { deleteTask } from "../../flows/erasure/delete-task.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { unlessTaskRefused } from "./refusals.ts";

const contract = createRoute({
  method: "delete",
  path: "/v1/tasks/{id}",
  operationId: "delete-task",
  security: [{ key: [] }],
  request: { params: z.object({ id: z.string() }) },
  ...documented(() => ({
    tags: ["Tasks"],
    summary: "Erase a task",
    description:
      "Prompt, metadata, end user and images are gone, and the uploads that it was made from, unless they are another end " +
      "user's or an unfinished task needs them; the ledger's figures stay. Copies at the edge may live for up to an " +
      "hour, copies in browsers live on.",
    responses: {
      204: {
        description:
          "Erased. The task and its images answer 410 from now on; copies at the edge may live for up to an hour.",
      },
      ...errorReplies(...keyErrors, "task_not_found", "task_not_finished", "deleted"),
    },
  })),
});

export function deleteTaskRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const { id } = c.req.valid("param");
    const result = unlessTaskRefused(await deleteTask(c.get("invocation"), c.get("caller"), id));
    switch (result.kind) {
      case "not_finished":
        throw new ApiError("task_not_finished", "This task has not ended yet.");
      case "erased":
        c.set("taskId", id);
        return c.body(null, 204);
    }
  });
}
