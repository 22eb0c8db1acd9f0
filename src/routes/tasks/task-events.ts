/** `GET /v1/tasks/{id}/events`: a task's life as server-sent events (WHATWG HTML, 9.2). */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import { readTask } from "../../flows/tasks/read-task.ts";
import { type StreamEvent, streamTask } from "../../flows/tasks/stream.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { requirePlace } from "../../http/following.ts";
import { errorReplies, keyErrors } from "../../http/replies.ts";
import { encode, streamOf } from "../../http/streams.ts";
import type { Place } from "../../platform/places.ts";
import { unlessTaskRefused } from "./refusals.ts";
import { showTask } from "./show-task.ts";
import { exampleTask } from "./task-reply.ts";

const exampleStream = `retry: 3000\n\nevent: task\nid: 4\ndata: ${JSON.stringify(exampleTask)}\n\n`;

const contract = createRoute({
  method: "get",
  path: "/v1/tasks/{id}/events",
  operationId: "task-events",
  security: [{ key: [] }, { link: [] }],
  request: {
    params: z.object({ id: z.string() }),
    headers: z.object({
      "last-event-id": z
        .string()
        .optional()
        .meta(documented(() => ({ description: "What the client has seen; it goes on from there." }))),
    }),
  },
  ...documented(() => ({
    tags: ["Tasks"],
    summary: "Stream a task by server-sent events",
    description:
      "`event: task`, `id:` its version, `data:` the task, at the start and on each change. The stream ends after the " +
      "task has, and after two minutes at the latest, for the client to come back. Takes a key, or the `token` of the " +
      "task's `links.events`.",
    responses: {
      200: {
        description: "The stream.",
        content: { "text/event-stream": { schema: z.string().meta({ examples: [exampleStream] }) } },
      },
      204: { description: "The client has seen the task's end: nothing more will come." },
      ...errorReplies(...keyErrors, "task_not_found", "deleted"),
    },
  })),
});

export function taskEvents(api: Api): void {
  api.openapi(contract, async (c) => {
    const { id } = c.req.valid("param");
    const place = requirePlace(c, id);
    try {
      const { task } = unlessTaskRefused(await readTask(c.get("invocation"), c.get("caller"), id));
      c.set("taskId", id);
      const reply = streamReply(c, task, place);
      if (!reply.body || c.req.method === "HEAD") place.end();
      return reply;
    } catch (error) {
      place.end();
      throw error;
    }
  });
}

function streamReply(c: AppContext, task: Task, place: Place): Response {
  const lastId = c.req.header("last-event-id");
  const seen = lastId !== undefined && /^\d{1,15}$/.test(lastId) ? Number(lastId) : null;
  const headers: Record<string, string> = { "cache-control": "no-store", "x-accel-buffering": "no" };
  // The holder of a link may show it on any page.
  if (c.get("caller").kind === "link") headers["access-control-allow-origin"] = "*";
  if (isFinished(task) && seen === task.version) return c.body(null, 204, headers);
  const streamed = streamTask(c.get("invocation"), c.get("caller"), task, seen, place);
  return c.body(streamOf(eventsOf(c, streamed), place.end), 200, {
    ...headers,
    "content-type": "text/event-stream; charset=utf-8",
  });
}

async function* eventsOf(c: AppContext, streamed: AsyncGenerator<StreamEvent>): AsyncGenerator<Uint8Array> {
  yield encode("retry: 3000\n\n");
  for await (const one of streamed) {
    if (one.kind === "heartbeat") yield encode(": still here\n\n");
    else {
      const data = JSON.stringify(await showTask(c, one.task));
      yield encode(`event: task\nid: ${one.task.version}\ndata: ${data}\n\n`);
    }
  }
}
