/** `GET /admin/api/tasks/{id}`: reads a task of any tenant. */
import { createRoute } from "@hono/zod-openapi";
import { findAnyTask } from "../../flows/tasks/operator.ts";
import type { Api } from "../../http/context.ts";
import { documented } from "../../http/documented.ts";
import { adminSecurity } from "./admin-route.ts";
import { adminTaskParams, adminTaskReplies, replyWithTask } from "./admin-task-reply.ts";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tasks/{id}",
  operationId: "get-any-task",
  security: adminSecurity,
  request: { params: adminTaskParams },
  ...documented(() => ({
    tags: ["Admin: tasks"],
    summary: "Read a task",
    responses: adminTaskReplies,
  })),
});

export function getAnyTask(api: Api): void {
  api.openapi(contract, async (c) => {
    const { id } = c.req.valid("param");
    return replyWithTask(c, await findAnyTask(c.get("invocation"), id));
  });
}
