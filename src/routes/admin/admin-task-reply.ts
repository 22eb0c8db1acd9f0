/** A task as the operator sees it. */
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { upstreamLinkLifeMs } from "../../domain/poll.ts";
import { type Task, toSeconds, viewTask } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import { type AnyTask, isSettled } from "../../flows/tasks/operator.ts";
import type { AppContext } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { type Issue, invalidRequest } from "../../http/validation.ts";
import { linkBases } from "../../platform/link-bases.ts";
import { taskInput } from "../tasks/generation-request.ts";
import { exampleTask, taskReply } from "../tasks/task-reply.ts";
import { adminErrors } from "./admin-route.ts";

export const adminTask = documented(() =>
  taskReply
    .extend({
      input: taskInput
        .extend({ prompt: z.string().meta({ description: "Empty once the task is erased." }) })
        .meta({ description: "What was asked, given defaults included." })
        .optional(),
      tenant: z.string(),
      key: z.string(),
      request_id: z.string().meta({ description: "Of the request that submitted it." }),
      state: z.string().meta({ description: "The state that the gateway keeps." }),
      upstream_id: z.string().nullable(),
      attempts: z
        .int()
        .meta({ description: "Sends to the upstream so far; while storing, attempts to store." }),
      submitted_at: z.int().nullable().meta({ description: "When the upstream took it." }),
      storing_at: z.int().nullable().meta({
        description: "When the upstream was seen to have finished it, so that its pictures are stored.",
      }),
      settled: z.boolean().nullable().optional().meta({
        description:
          "It has ended, and its hold is charged or released. Null where its tenant's object does not answer; absent from lists.",
      }),
      due_at: z.int().meta({ description: "When it is worked on next: until then it is leased, or waits." }),
      deadline_at: z.int(),
      hidden: z.boolean().meta({ description: "It was refused while the caller waited." }),
      erased: z.boolean().meta({
        description: "Its text and pictures are gone: `results` and `images` are empty. Its figures stay.",
      }),
    })
    .meta({
      id: "AdminTask",
      examples: [
        {
          ...exampleTask,
          links: { self: exampleTask.links.self },
          tenant: "acme",
          key: "key-3w7c1m9x5q2t8k4p",
          request_id: "req-7k2n9c4w8x1m5p3t6r0q",
          state: "completed",
          upstream_id: "task-unified-1757165031-p3t6r0q7",
          attempts: 1,
          submitted_at: 1_757_165_032,
          storing_at: 1_757_165_075,
          settled: true,
          due_at: 1_757_165_078,
          deadline_at: 1_757_168_631,
          hidden: false,
          erased: false,
        },
      ],
    }),
);

/** The parameters, and the replies, of every operation on one task. */
export const adminTaskRequest = {
  params: z.object({ id: z.string() }),
  query: z.object({ tenant: z.string().max(32).optional() }),
};
export const adminTaskTenant = documented(
  () => "An archived task needs `tenant` where more than 1,000 tenants have archived ones.",
);
export const adminTaskReplies = documented(() => ({
  200: json(adminTask, "The task."),
  ...errorReplies(...adminErrors, "task_not_found"),
}));

/** Tasks of all tenants are not looked for in the archive, or not in all of it. */
export const tenantOfArchived: Issue = {
  path: ["tenant"],
  message: "must be given: old tasks are archived, and found by tenant (ARCHIVE_TASKS_AFTER_DAYS)",
};

/** Replies with one task, and names it in the request's log line. */
export async function replyWithTask(c: AppContext, task: AnyTask) {
  if (task === "of_many_tenants") throw invalidRequest([tenantOfArchived]);
  if (!task) throw new ApiError("task_not_found", "There is no such task.");
  c.set("tenantId", task.tenantId);
  c.set("taskId", task.id);
  return c.json({ ...viewAdminTask(c, task), settled: await isSettled(c.get("invocation"), task) }, 200);
}

export function viewAdminTask(c: AppContext, task: Task): z.output<typeof adminTask> {
  const seconds = (ms: number | null) => (ms === null ? null : toSeconds(ms));
  return {
    ...viewTask(task, linkBases(c.get("invocation").config, task.origin), true),
    ...(task.erased && { results: [], images: [] }),
    tenant: task.tenantId,
    key: task.keyId,
    request_id: task.requestId,
    state: task.state,
    upstream_id: task.upstreamId,
    attempts: task.attempts,
    submitted_at: seconds(task.submittedMs),
    // The row keeps the end of the links' life, which began when they were seen.
    storing_at:
      task.upstreamLinksExpireMs === null ? null : toSeconds(task.upstreamLinksExpireMs - upstreamLinkLifeMs),
    due_at: toSeconds(task.dueMs),
    deadline_at: toSeconds(task.deadlineMs),
    hidden: task.hidden,
    erased: task.erased,
  };
}
