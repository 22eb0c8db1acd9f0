/** `GET /admin/api/overview`: how the business is. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { mostDays, type Overview, readOverview } from "../../d1/cron/overview.ts";
import { oldestErasureMs } from "../../d1/erasure/erasure-turns.ts";
import { dateOf } from "../../domain/admission.ts";
import { documented } from "../../domain/documented.ts";
import { toSeconds } from "../../domain/task.ts";
import { offReasons } from "../../domain/webhooks.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { exampleTask } from "../tasks/task-reply.ts";
import { adminErrors, adminSecurity } from "./admin-route.ts";

const upstreamReply = documented(() =>
  z.object({
    last_accepted_at: z.int().nullable(),
    credits_left: z.number().nullable().meta({ description: "Null: it did not say." }),
    cools_down_until: z.int().nullable().meta({ description: "It asked for a pause of the whole account." }),
  }),
);

const overviewReply = documented(() =>
  z
    .object({
      complete: z.boolean().meta({
        description: "False: many tasks wait to be added up, and some of them are in no figure yet.",
      }),
      tasks_by_state: z.record(z.string(), z.int()).meta({ description: "Unfinished." }),
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
      oldest_overdue_erasure_seconds: z.int().meta({ description: "0: none is." }),
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
        .meta({ description: "The last 24 hours, and the hour they began in." }),
      upstream: upstreamReply,
      webhooks_off: z
        .array(z.object({ tenant: z.string(), at: z.int(), reason: z.enum(offReasons) }))
        .meta({ description: "Switched off last, 20 at the most." }),
    })
    .meta({
      examples: [
        {
          complete: true,
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
          oldest_overdue_erasure_seconds: 0,
          days: [{ date: "2026-01-31", tasks: 3, images: 4, credits: 120, failed: 0 }],
          last_day: {
            tasks: 3,
            failures: {},
            error_rate: 0,
            time_to_picture_seconds: { p50: 31.2, p95: 48 },
          },
          upstream: { last_accepted_at: 1_757_165_031, credits_left: null, cools_down_until: null },
          webhooks_off: [{ tenant: "acme", at: 1_757_165_031, reason: "failing" }],
        },
      ],
    }),
);

const contract = createRoute({
  method: "get",
  path: "/admin/api/overview",
  operationId: "get-overview",
  security: adminSecurity,
  request: { query: z.object({ days: z.coerce.number().int().min(1).max(mostDays).default(30) }) },
  ...documented(() => ({
    tags: ["Admin: overview"],
    summary: "How the business is",
    responses: {
      200: json(overviewReply, "At most 5 s old."),
      ...errorReplies(...adminErrors),
    },
  })),
});

const keptMs = 5_000;

export function getOverview(api: Api): void {
  // Tabs that are open at the same time share what one of them has read, whatever days they show. Nothing depends on it.
  let kept: { atMs: number; overview: z.output<typeof overviewReply> } | undefined;
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const nowMs = invocation.now();
    if (!kept || nowMs - kept.atMs >= keptMs) {
      const [found, credits, erasureMs] = await Promise.all([
        readOverview(invocation.db, nowMs),
        invocation.upstream.credits(),
        oldestErasureMs(invocation.db, nowMs),
      ]);
      kept = { atMs: nowMs, overview: replyOf(found, credits, erasureMs, nowMs) };
    }
    const { overview } = kept;
    const since = dateOf(nowMs - c.req.valid("query").days * 86_400_000);
    return c.json({ ...overview, days: overview.days.filter(({ date }) => date >= since) }, 200);
  });
}

function replyOf(
  found: Overview,
  credits: number | null,
  erasureMs: number,
  nowMs: number,
): z.output<typeof overviewReply> {
  const failed = Object.values(found.failures).reduce((total, count) => total + count, 0);
  const seconds = (ms: number | null) => (ms === null ? null : ms / 1000);
  const { oldestUnfinishedMs, lastAcceptedMs, coolDownUntilMs, timeToPictureMs } = found;
  return {
    complete: found.complete,
    tasks_by_state: found.tasksByState,
    oldest_unfinished_seconds: oldestUnfinishedMs === null ? null : toSeconds(nowMs - oldestUnfinishedMs),
    oldest_unfinished: found.oldest.map(({ createdMs, ...task }) => ({
      ...task,
      created: toSeconds(createdMs),
    })),
    oldest_overdue_erasure_seconds: toSeconds(erasureMs),
    days: found.days,
    last_day: {
      tasks: found.recentTasks,
      failures: found.failures,
      error_rate: found.recentTasks === 0 ? 0 : failed / found.recentTasks,
      time_to_picture_seconds: { p50: seconds(timeToPictureMs.p50), p95: seconds(timeToPictureMs.p95) },
    },
    upstream: {
      last_accepted_at: lastAcceptedMs === null ? null : toSeconds(lastAcceptedMs),
      credits_left: credits,
      cools_down_until: coolDownUntilMs > nowMs ? toSeconds(coolDownUntilMs) : null,
    },
    webhooks_off: found.webhooksOff,
  };
}
