/** `/admin/api/overview` and `/admin/api/audit`: how the business is, and whether it is sound. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { readOverview } from "../../d1/cron/overview.ts";
import { type AuditEntry, listAuditEntries } from "../../d1/tenants/audit-log.ts";
import { toSeconds } from "../../domain/task.ts";
import { audit } from "../../flows/cron/reconcile.ts";
import type { Api } from "../../http/context.ts";
import { pageLimit, toPage } from "../../http/paging.ts";
import { errorReplies, json, listReply } from "../../http/replies.ts";
import { exampleTask } from "../tasks/task-reply.ts";
import { adminErrors } from "./admin-actor.ts";

const shared = { tags: ["Admin: overview"], security: [{ admin: [] }] };
const dayMs = 86_400_000;

const overview = createRoute({
  ...shared,
  method: "get",
  path: "/admin/api/overview",
  operationId: "get-overview",
  summary: "How the business is",
  request: { query: z.object({ days: z.coerce.number().int().min(1).max(90).default(30) }) },
  responses: {
    200: json(
      z
        .object({
          tasks_by_state: z.record(z.string(), z.int()).meta({ description: "Unfinished ones." }),
          oldest_unfinished_seconds: z.int().nullable(),
          oldest_unfinished: z.array(
            z.object({
              id: z.string(),
              tenant: z.string(),
              state: z.string(),
              attempts: z.int(),
              created: z.int(),
            }),
          ),
          days: z.array(
            z.object({
              date: z.string(),
              tasks: z.int(),
              images: z.int(),
              credits: z.int(),
              failed: z.int(),
            }),
          ),
          last_day: z
            .object({
              tasks: z.int(),
              failures: z.record(z.string(), z.int()).meta({ description: "By code." }),
              error_rate: z.number(),
              time_to_picture_seconds: z.object({ p50: z.number().nullable(), p95: z.number().nullable() }),
            })
            .meta({ description: "The last 24 hours." }),
          upstream: z.object({
            last_accepted_at: z.int().nullable(),
            credits_left: z.number().nullable().meta({ description: "Null: it did not say." }),
            cools_down_until: z
              .int()
              .nullable()
              .meta({ description: "It asked for a pause of the whole account." }),
          }),
        })
        .meta({
          examples: [
            {
              tasks_by_state: { submitted: 3 },
              oldest_unfinished_seconds: 41,
              oldest_unfinished: [
                {
                  id: exampleTask.id,
                  tenant: "acme",
                  state: "submitted",
                  attempts: 1,
                  created: 1_757_165_031,
                },
              ],
              days: [{ date: "2026-01-31", tasks: 3, images: 4, credits: 120, failed: 0 }],
              last_day: {
                tasks: 3,
                failures: {},
                error_rate: 0,
                time_to_picture_seconds: { p50: 31.2, p95: 48 },
              },
              upstream: { last_accepted_at: 1_757_165_031, credits_left: null, cools_down_until: null },
            },
          ],
        }),
      "Counted from the tasks themselves.",
    ),
    ...errorReplies(...adminErrors, "invalid_request"),
  },
});

const auditEntryReply = z.object({
  id: z.string(),
  at: z.int(),
  actor: z.string().meta({ description: "`admin`, or the id of a tenant's key." }),
  act: z.string(),
  tenant: z.string().nullable(),
  subject: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
  request_id: z.string(),
});

const auditRoute = createRoute({
  ...shared,
  method: "get",
  path: "/admin/api/audit",
  operationId: "get-audit",
  summary: "What must always hold, and whether it does",
  description:
    "Checks a number of tenants after `cursor`, whose problems are the list's data; what is younger than five minutes is left out. A hold that " +
    "leaked is settled by it.",
  request: {
    query: z.object({
      cursor: z.string().max(32).default(""),
      acts_limit: pageLimit,
      acts_cursor: z.string().max(100).default(""),
    }),
  },
  responses: {
    200: json(
      z
        .object({
          ...listReply(
            z.object({
              kind: z.enum(["balance", "hold", "task", "picture", "overdue"]),
              tenant: z.string().nullable(),
              subject: z.string().nullable(),
              text: z.string(),
            }),
          ).shape,
          ok: z.boolean(),
          tenants_checked: z.int(),
          acts: listReply(auditEntryReply).meta({
            description: "What operators and tenants changed, newest first.",
          }),
        })
        .meta({
          examples: [
            {
              object: "list",
              ok: true,
              data: [],
              next_cursor: null,
              tenants_checked: 1,
              acts: {
                object: "list",
                data: [
                  {
                    id: "act-01k5d3v7xq2t8k4p3w7c1m9x5q",
                    at: 1_757_165_031,
                    actor: "admin",
                    act: "tenant.changed",
                    tenant: "acme",
                    subject: null,
                    details: { status: "suspended" },
                    request_id: "req-7k2n9c4w8x1m5p3t6r0q",
                  },
                ],
                next_cursor: null,
              },
            },
          ],
        }),
      "What was checked.",
    ),
    ...errorReplies(...adminErrors, "invalid_request"),
  },
});

export function adminOverview(api: Api): void {
  api.openapi(overview, async (c) => {
    const invocation = c.get("invocation");
    const nowMs = invocation.now();
    const [found, credits] = await Promise.all([
      readOverview(invocation.db, nowMs - c.req.valid("query").days * dayMs, nowMs - dayMs),
      invocation.upstream.credits(),
    ]);
    const failed = Object.values(found.failures).reduce((total, count) => total + count, 0);
    const seconds = (ms: number | null) => (ms === null ? null : ms / 1000);
    const { oldestUnfinishedMs, upstream, timeToPictureMs } = found;
    return c.json(
      {
        tasks_by_state: found.tasksByState,
        oldest_unfinished_seconds: oldestUnfinishedMs === null ? null : toSeconds(nowMs - oldestUnfinishedMs),
        oldest_unfinished: found.oldest.map(({ createdMs, ...task }) => ({
          ...task,
          created: toSeconds(createdMs),
        })),
        days: found.days,
        last_day: {
          tasks: found.recentTasks,
          failures: found.failures,
          error_rate: found.recentTasks === 0 ? 0 : failed / found.recentTasks,
          time_to_picture_seconds: { p50: seconds(timeToPictureMs.p50), p95: seconds(timeToPictureMs.p95) },
        },
        upstream: {
          last_accepted_at: upstream.lastAcceptedMs === null ? null : toSeconds(upstream.lastAcceptedMs),
          credits_left: credits,
          cools_down_until: upstream.coolDownUntilMs > nowMs ? toSeconds(upstream.coolDownUntilMs) : null,
        },
      },
      200,
    );
  });

  api.openapi(auditRoute, async (c) => {
    const invocation = c.get("invocation");
    const { cursor, acts_limit, acts_cursor } = c.req.valid("query");
    const { problems, tenants, nextTenant } = await audit(invocation, cursor);
    const entries = await listAuditEntries(invocation.db, acts_cursor || "act-~", acts_limit + 1);
    return c.json(
      {
        object: "list" as const,
        ok: problems.length === 0,
        data: problems,
        next_cursor: nextTenant,
        tenants_checked: tenants,
        acts: toPage(entries, acts_limit, viewAuditEntry),
      },
      200,
    );
  });
}

function viewAuditEntry({
  id,
  atMs,
  actor,
  action,
  tenantId,
  subject,
  details,
  requestId,
}: AuditEntry): z.output<typeof auditEntryReply> {
  return {
    id,
    at: toSeconds(atMs),
    actor,
    act: action,
    tenant: tenantId,
    subject,
    details,
    request_id: requestId,
  };
}
