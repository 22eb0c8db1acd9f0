/** `GET /v1/tasks`: the tenant's tasks, newest first. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { endUser } from "../../domain/generation-fields.ts";
import { behindAllTasks } from "../../domain/ids.ts";
import { models } from "../../domain/model-catalog.ts";
import { taskStatuses } from "../../domain/task.ts";
import { listTasks as readTasks } from "../../flows/tasks/list-tasks.ts";
import { authorize } from "../../flows/tenants/authorize.ts";
import type { Api } from "../../http/context.ts";
import { pageLimit, toWalkedPage, walkedPages } from "../../http/paging.ts";
import { errorReplies, json, keyErrors, listReply } from "../../http/replies.ts";
import { invalidRequest } from "../../http/validation.ts";
import { keyRefused } from "./refusals.ts";
import { showTask } from "./show-task.ts";
import { taskReply } from "./task-reply.ts";

const latest = 4_102_444_800;

/** A moment in a query. @param description Ends the sentence "unix seconds". */
const seconds = (description: string) =>
  z.coerce
    .number()
    .int()
    .min(0)
    .max(latest)
    .optional()
    // The generator would add null, which is 0 to JavaScript and cannot be said in a query.
    .meta(
      documented(() => ({
        type: "integer",
        minimum: 0,
        maximum: latest,
        description: `Unix seconds, ${description}.`,
      })),
    );

const contract = createRoute({
  method: "get",
  path: "/v1/tasks",
  operationId: "list-tasks",
  security: [{ key: [] }],
  request: {
    query: z.object({
      status: z.enum(taskStatuses).optional(),
      model: z.enum(models).optional(),
      end_user: endUser.optional(),
      created_after: seconds("inclusive"),
      created_before: seconds("exclusive"),
      limit: pageLimit,
      cursor: z
        .string()
        .max(100)
        .optional()
        .meta(documented(() => ({ description: "`next_cursor` of the page before." }))),
    }),
  },
  ...documented(() => ({
    tags: ["Tasks"],
    summary: "List tasks, newest first",
    description: `A client token for an end user lists that person's tasks. ${walkedPages}`,
    responses: {
      200: json(listReply(taskReply), "A page of tasks."),
      ...errorReplies(...keyErrors),
    },
  })),
});

export function listTasks(api: Api): void {
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const caller = c.get("caller");
    const authorized = await authorize(invocation, caller, { action: "list" });
    if (authorized.kind === "key_refused") throw keyRefused(authorized.refusal);
    const { created_after: after, created_before: before, limit, cursor, ...filter } = c.req.valid("query");
    if (after !== undefined && before !== undefined && after > before)
      throw invalidRequest([{ path: ["created_after"], message: "must not be after created_before" }]);
    const found = await readTasks(
      invocation,
      {
        ...filter,
        tenant: caller.tenantId,
        // A token's own goes over whatever is asked for.
        end_user: caller.token?.endUser ?? filter.end_user,
        createdAfterMs: after === undefined ? undefined : after * 1000,
        createdBeforeMs: before === undefined ? undefined : before * 1000,
        visible: true,
      },
      cursor || behindAllTasks,
      limit + 1,
    );
    const page = toWalkedPage(found, limit, (task) => task);
    const data = await Promise.all(page.data.map((task) => showTask(c, task)));
    return c.json({ ...page, data }, 200, { "cache-control": "no-store" });
  });
}
