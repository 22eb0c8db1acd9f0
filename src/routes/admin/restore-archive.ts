/** `POST /admin/api/tenants/{id}/archive/restore`: has a tenant's archived tasks of a period in the database again. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { documented } from "../../domain/documented.ts";
import { restoreArchive } from "../../flows/archive/restore-archive.ts";
import type { Api } from "../../http/context.ts";
import { periodOf, periodQuery } from "../../http/period.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { invalidRequest } from "../../http/validation.ts";
import { adminActor, adminErrors, adminSecurity } from "./admin-route.ts";
import { noSuchTenant } from "./tenant-reply.ts";

const reply = documented(() =>
  z
    .object({
      tasks: z.int().meta({ description: "Tasks of these parts, all of which the database has now." }),
      parts: z.int(),
      parts_lost: z.int().meta({ description: "Parts that cannot be read now. The log names them." }),
      goes_on: z.boolean().meta({ description: "There is more of the period: call again." }),
    })
    .meta({ examples: [{ tasks: 1_000, parts: 1, parts_lost: 0, goes_on: false }] }),
);

const contract = createRoute({
  method: "post",
  path: "/admin/api/tenants/{id}/archive/restore",
  operationId: "restore-archive",
  security: adminSecurity,
  request: { params: z.object({ id: z.string() }), query: z.object(periodQuery) },
  ...documented(() => ({
    tags: ["Admin: tasks"],
    summary: "Have archived tasks in the database again",
    description:
      "A few parts of the archive at a time, whole. `ARCHIVE_TASKS_AFTER_DAYS` has to leave them there: set it first.",
    responses: {
      200: json(reply, "What was restored."),
      ...errorReplies(...adminErrors, "not_found"),
    },
  })),
});

const dayMs = 86_400_000;

export function restoreArchiveRoute(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const tenant = await findTenant(invocation.db, c.req.valid("param").id);
    if (!tenant) throw noSuchTenant();
    const period = periodOf(invocation, c.req.valid("query"));
    const days = invocation.config.ARCHIVE_TASKS_AFTER_DAYS;
    if (days > 0 && period.fromMs < invocation.now() - days * dayMs) {
      const message = `must not be older than ${days} days, after which tasks are archived: set ARCHIVE_TASKS_AFTER_DAYS higher, or to 0, first`;
      throw invalidRequest([{ path: ["from"], message }]);
    }
    const done = await restoreArchive(invocation, adminActor(c), tenant.id, period);
    const { tasks, parts, lost, goesOn } = done;
    return c.json({ tasks, parts, parts_lost: lost, goes_on: goesOn }, 200);
  });
}
