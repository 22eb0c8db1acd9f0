/** `GET /v1/tasks/{id}`: reads a task. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { refreshIntervalMs } from "../../domain/poll.ts";
import { isFinished } from "../../domain/task.ts";
import { readTask } from "../../flows/tasks/read-task.ts";
import { ifNoneMatch, matchesEtag } from "../../http/conditional.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json, keyErrors } from "../../http/replies.ts";
import { headers } from "../../http/reply-headers.ts";
import { unlessTaskRefused } from "./refusals.ts";
import { showTask } from "./show-task.ts";
import { taskReply } from "./task-reply.ts";
import { preferHeader, readAndWait, waitQuery } from "./waiting.ts";

const contract = createRoute({
  method: "get",
  path: "/v1/tasks/{id}",
  operationId: "get-task",
  security: [{ key: [] }],
  request: {
    params: z.object({ id: z.string() }),
    query: waitQuery,
    headers: z.object({ ...preferHeader, ...ifNoneMatch }),
  },
  ...documented(() => ({
    tags: ["Tasks"],
    summary: "Read a task",
    description:
      `Reading an unfinished task also has the gateway poll it, every ${refreshIntervalMs(0) / 1_000} s at the most; ` +
      "the next read shows it.",
    responses: {
      200: {
        ...json(taskReply, "The task."),
        headers: headers("etag", "retry-after", "preference-applied", "cache-control"),
      },
      304: {
        description: "It is as `If-None-Match` has it.",
        headers: headers("etag", "retry-after", "preference-applied", "cache-control"),
      },
      ...errorReplies(...keyErrors, "task_not_found", "deleted"),
    },
  })),
});

export function getTask(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const { id } = c.req.valid("param");
    const read = async () => unlessTaskRefused(await readTask(invocation, c.get("caller"), id));
    const {
      task,
      position: found,
      headers: waited,
    } = await readAndWait(c, id, c.req.valid("query").wait, read);
    c.set("taskId", task.id);
    // Weak: the version names the task's content, not the bytes of its links.
    const etag = `W/"${task.version}"`;
    const headers = {
      etag,
      ...waited,
      "cache-control": "no-store",
      ...(isFinished(task) ? {} : { "retry-after": "3" }),
    };
    if (matchesEtag(c.req.header("if-none-match"), etag)) return c.body(null, 304, headers);
    const position = task.state === "queued" ? found : null;
    return c.json(await showTask(c, task, position), 200, headers);
  });
}
