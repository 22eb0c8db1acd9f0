/** `GET /admin/api/tasks`: tasks of all tenants. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { endUser } from "../../domain/generation-fields.ts";
import { behindAllTasks } from "../../domain/ids.ts";
import { taskStatuses } from "../../domain/task.ts";
import { listTasks } from "../../flows/tasks/list-tasks.ts";
import type { Api } from "../../http/context.ts";
import { pageQuery, toWalkedPage, walkedPages } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { invalidRequest } from "../../http/validation.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";
import { adminTask, tenantOfArchived, viewAdminTask } from "./admin-task-reply.ts";

/** The cursor behind the last task that is not archived. */
const archive = "archive";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tasks",
  operationId: "list-all-tasks",
  security: adminSecurity,
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
  ...documented(() => ({
    tags: ["Admin: tasks"],
    summary: "List tasks of all tenants, newest first",
    description: `${walkedPages} Archived tasks are listed with \`tenant\` alone. A list of all tenants ends with the cursor \`archive\`, which \`tenant\` has to go with: that tenant's list, from its newest task on.`,
    responses: {
      200: json(listReply(adminTask), "A page of tasks."),
      ...errorReplies(...adminErrors),
    },
  })),
});

export function listAllTasks(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const { limit, cursor, ...filter } = c.req.valid("query");
    if (cursor === archive && filter.tenant === undefined) throw invalidRequest([tenantOfArchived]);
    const beforeId = cursor === archive ? behindAllTasks : cursor || behindAllTasks;
    const found = await listTasks(invocation, filter, beforeId, limit + 1);
    const page = toWalkedPage(found, limit, (task) => viewAdminTask(c, task));
    return c.json({ ...page, next_cursor: found.endsAtArchive ? archive : page.next_cursor }, 200);
  });
}
