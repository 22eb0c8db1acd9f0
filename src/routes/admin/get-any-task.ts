/** `GET /admin/api/tasks/{id}`: reads a task. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import { findAnyTask } from "../../flows/tasks/operator.ts";
import type { Api } from "../../http/context.ts";
import { adminSecurity } from "./admin-route.ts";
import { adminTaskReplies, adminTaskRequest, adminTaskTenant, replyWithTask } from "./admin-task-reply.ts";

const contract = createRoute({
  method: "get",
  path: "/admin/api/tasks/{id}",
  operationId: "get-any-task",
  security: adminSecurity,
  request: adminTaskRequest,
  ...documented(() => ({
    tags: ["Admin: tasks"],
    summary: "Read a task",
    description: adminTaskTenant,
    responses: adminTaskReplies,
  })),
});

export function getAnyTask(api: Api): void {
  api.openapi(contract, async (c) => {
    const named = { ...c.req.valid("param"), ...c.req.valid("query") };
    return replyWithTask(c, await findAnyTask(c.get("invocation"), named));
  });
}
