/** `POST /admin/api/tasks/{id}/refresh`: polls a task at once. */
import { createRoute } from "@hono/zod-openapi";
import { documented } from "../../domain/documented.ts";
import { refreshTask } from "../../flows/tasks/operator.ts";
import type { Api } from "../../http/context.ts";
import { adminActor, adminSecurity } from "./admin-route.ts";
import { adminTaskReplies, adminTaskRequest, adminTaskTenant, replyWithTask } from "./admin-task-reply.ts";

const contract = createRoute({
  method: "post",
  path: "/admin/api/tasks/{id}/refresh",
  operationId: "refresh-task",
  security: adminSecurity,
  request: adminTaskRequest,
  ...documented(() => ({
    tags: ["Admin: tasks"],
    summary: "Poll a task now",
    description: adminTaskTenant,
    responses: adminTaskReplies,
  })),
});

export function refreshTaskRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const named = { ...c.req.valid("param"), ...c.req.valid("query") };
    c.set("lookAt", "See the task.");
    return replyWithTask(c, await refreshTask(c.get("invocation"), adminActor(c), named));
  });
}
