/** `GET /admin/api/tasks`: tasks of all tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { listTasks } from "../../d1/tasks/task-lists.ts";
import { endUser } from "../../domain/generation-fields.ts";
import { taskStatuses } from "../../domain/task.ts";
import type { Api } from "../../http/context.ts";
import { pageQuery, toWalkedPage, walkedPages } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { adminTask, viewAdminTask } from "./admin-task-reply.ts";

/** Sorts after every task's id. */
const afterAll = "task-~";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tasks",
  operationId: "list-all-tasks",
  tags: ["Admin: tasks"],
  security: adminSecurity,
  summary: "List tasks of all tenants, newest first",
  description: walkedPages,
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
    ...errorReplies(...adminErrors),
  },
});

export function listAllTasks(api: Api): void {
  api.openapi(contract, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid("query");
    const found = await listTasks(c.get("invocation").db, filter, cursor || afterAll, limit + 1);
    return c.json(
      toWalkedPage(found, limit, (task) => viewAdminTask(c, task)),
      200,
    );
  });
}
