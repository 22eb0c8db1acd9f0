/** `POST /admin/api/tasks/{id}/fail`: ends a task as failed. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import { failTask } from "../../flows/tasks/operator.ts";
import type { Api } from "../../http/context.ts";
import { adminActor, adminSecurity } from "./admin-route.ts";
import { adminTaskReplies, adminTaskRequest, adminTaskTenant, replyWithTask } from "./admin-task-reply.ts";

const contract = createRoute({
  method: "post",
  path: "/admin/api/tasks/{id}/fail",
  operationId: "fail-task",
  security: adminSecurity,
  request: adminTaskRequest,
  ...documented(() => ({
    tags: ["Admin: tasks"],
    summary: "Fail a task and release its hold",
    description: `One that has ended stays as it is. ${adminTaskTenant}`,
    responses: adminTaskReplies,
  })),
});

export function failTaskRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const named = { ...c.req.valid("param"), ...c.req.valid("query") };
    return replyWithTask(c, await failTask(c.get("invocation"), adminActor(c), named));
  });
}
