/** `/admin/api/tasks`: tasks of all tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTask } from "../../d1/tasks/reconciled-tasks.ts";
import { listTasks } from "../../d1/tasks/task-lists.ts";
import { endUser } from "../../domain/generation-fields.ts";
import { linkLifeMs } from "../../domain/poll.ts";
import { type Task, taskStatuses, toSeconds, viewTask } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import { failTask, refreshTask } from "../../flows/tasks/operator.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { pageQuery, toPage } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { linkBases } from "../../platform/invocation.ts";
import { exampleTask, taskReply } from "../tasks/task-reply.ts";
import { adminActor, adminErrors } from "./admin-actor.ts";

const adminTask = taskReply
  .extend({
    tenant: z.string(),
    key: z.string(),
    request_id: z.string().meta({ description: "Of the request that submitted it." }),
    state: z.string().meta({ description: "The gateway's own word for where it is." }),
    upstream_id: z.string().nullable(),
    attempts: z.int().meta({ description: "Sends to the upstream so far; while storing, tries to store." }),
    submitted_at: z.int().nullable().meta({ description: "When the upstream took it." }),
    storing_at: z.int().nullable().meta({
      description: "When the upstream was seen to have finished it, so that its pictures are stored.",
    }),
    settled: z.boolean().meta({ description: "It has ended, and its hold is charged or released." }),
    due_at: z.int().meta({ description: "Until then whoever works on it has it, or it waits." }),
    deadline_at: z.int(),
    hidden: z.boolean().meta({ description: "It was refused while the caller waited." }),
  })
  .meta({
    id: "AdminTask",
    examples: [
      {
        ...exampleTask,
        links: { self: exampleTask.links.self },
        tenant: "acme",
        key: "key-3w7c1m9x5q2t8k4p",
        request_id: "req-7k2n9c4w8x1m5p3t6r0q",
        state: "completed",
        upstream_id: "task-unified-1757165031-p3t6r0q7",
        attempts: 1,
        submitted_at: 1_757_165_032,
        storing_at: 1_757_165_075,
        settled: true,
        due_at: 1_757_165_078,
        deadline_at: 1_757_168_631,
        hidden: false,
      },
    ],
  });

const shared = { tags: ["Admin: tasks"], security: [{ admin: [] }] };
const path = "/admin/api/tasks";
/** Sorts after every task's id. */
const afterAll = "task-~";
const params = z.object({ id: z.string() });
const one = { 200: json(adminTask, "The task."), ...errorReplies(...adminErrors, "task_not_found") };

const list = createRoute({
  ...shared,
  method: "get",
  path,
  operationId: "list-all-tasks",
  summary: "List tasks of all tenants, newest first",
  request: {
    query: z.object({
      tenant: z.string().max(32).optional(),
      status: z.enum(taskStatuses).optional(),
      model: z.string().max(64).optional(),
      request_id: z.string().max(64).optional(),
      end_user: endUser.optional(),
      ...pageQuery.shape,
    }),
  },
  responses: {
    200: json(listReply(adminTask), "A page of tasks."),
    ...errorReplies(...adminErrors, "invalid_request"),
  },
});

const read = createRoute({
  ...shared,
  method: "get",
  path: `${path}/{id}`,
  operationId: "get-any-task",
  summary: "Read a task",
  request: { params },
  responses: one,
});

const refresh = createRoute({
  ...shared,
  method: "post",
  path: `${path}/{id}/refresh`,
  operationId: "refresh-task",
  summary: "Look at a task upstream now",
  request: { params },
  responses: one,
});

const fail = createRoute({
  ...shared,
  method: "post",
  path: `${path}/{id}/fail`,
  operationId: "fail-task",
  summary: "Fail a task and release its hold",
  description: "One that has ended stays as it is. The upstream may go on with it; nothing comes of that.",
  request: { params },
  responses: one,
});

export function adminTasks(api: Api): void {
  api.openapi(list, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid("query");
    const found = await listTasks(c.get("invocation").db, filter, cursor || afterAll, limit + 1);
    return c.json(
      toPage(
        found,
        limit,
        (task) => view(c, task),
        (task) => task.id,
      ),
      200,
    );
  });

  const reply = (c: AppContext, task: Task | undefined) => {
    if (!task) throw new ApiError("task_not_found", "There is no such task.");
    c.set("tenantId", task.tenantId);
    c.set("taskId", task.id);
    return view(c, task);
  };
  api.openapi(read, async (c) =>
    c.json(reply(c, await findTask(c.get("invocation").db, c.req.valid("param").id)), 200),
  );
  api.openapi(refresh, async (c) =>
    c.json(reply(c, await refreshTask(c.get("invocation"), adminActor(c), c.req.valid("param").id)), 200),
  );
  api.openapi(fail, async (c) =>
    c.json(reply(c, await failTask(c.get("invocation"), adminActor(c), c.req.valid("param").id)), 200),
  );
}

function view(c: AppContext, task: Task): z.output<typeof adminTask> {
  const seconds = (ms: number | null) => (ms === null ? null : toSeconds(ms));
  return {
    ...viewTask(task, linkBases(c.get("invocation").config, task.origin), true),
    tenant: task.tenantId,
    key: task.keyId,
    request_id: task.requestId,
    state: task.state,
    upstream_id: task.upstreamId,
    attempts: task.attempts,
    submitted_at: seconds(task.submittedMs),
    // Links live from when they were seen, which is kept as when they die.
    storing_at:
      task.upstreamLinksExpireMs === null ? null : toSeconds(task.upstreamLinksExpireMs - linkLifeMs),
    settled: task.settled,
    due_at: toSeconds(task.dueMs),
    deadline_at: toSeconds(task.deadlineMs),
    hidden: task.hidden,
  };
}
