/**
 * Polling tasks upstream and recording the outcomes: for a round of cron, for a reader, and for a submit that the upstream
 * answered with a task already under way.
 */

import { claimRefresh, type PollResult, postponePolls, writePolls } from "../../d1/tasks/due-tasks.ts";
import type { Ending } from "../../d1/tasks/tasks.ts";
import { accountPauseMs } from "../../domain/back-off.ts";
import {
  changeFrom,
  type PollTarget,
  refreshIntervalMs,
  type UpstreamTask,
  upstreamLinkLifeMs,
} from "../../domain/poll.ts";
import type { Task } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { logUnreadable, skipUnreadable } from "../../platform/unreadable.ts";
import { storeImages, storeLeaseMs } from "../images/store-images.ts";
import { finish } from "./finish.ts";
import { pauseUpstream } from "./pause-upstream.ts";

/** The outcome of one poll. */
export type Found =
  | { kind: "nothing" }
  | { kind: "change"; result: PollResult }
  | { kind: "end"; ending: Ending }
  | { kind: "busy"; id: string; retryAfterMs: number | null };

/** Polls one task. A task past its deadline gets this one last poll. */
export async function pollTask(invocation: Invocation, task: PollTarget): Promise<Found> {
  if (task.upstreamId === null) return withoutUpstreamId(invocation, task);
  const outcome = await invocation.upstream.read(task.upstreamId);
  if (outcome.kind === "task") return resultOf(invocation, task, outcome.seen);
  if (invocation.now() >= task.deadlineMs) return { kind: "end", ending: failed(task, "task_timeout") };
  return outcome.kind === "busy" ? { ...outcome, id: task.id } : { kind: "nothing" };
}

/** A task that has lost the upstream's id cannot be polled, but it ends all the same, and gives back what it holds. */
function withoutUpstreamId(invocation: Invocation, task: PollTarget): Found {
  if (invocation.now() < task.deadlineMs) return { kind: "nothing" };
  const place = { table: "tasks", field: "upstream_id", id: task.id };
  logUnreadable(invocation, { place, expected: "a text" });
  return { kind: "end", ending: failed(task, "task_timeout") };
}

/** The outcome of the upstream's view of a task. */
export function resultOf(
  invocation: Pick<Invocation, "now" | "newId">,
  task: PollTarget,
  seen: UpstreamTask,
): Found {
  const change = changeFrom(task, seen);
  switch (change.kind) {
    case "failed":
      return { kind: "end", ending: failed(task, change.code) };
    case "done": {
      const images = change.links.map((source) => ({
        id: invocation.newId("image"),
        source,
        state: "wanted" as const,
      }));
      const { id, estimatedSeconds } = task;
      const upstreamLinksExpireMs = invocation.now() + upstreamLinkLifeMs;
      return {
        kind: "change",
        result: { id, processing: true, progress: 99, estimatedSeconds, images, upstreamLinksExpireMs },
      };
    }
    case "progress":
    case "none":
      if (invocation.now() >= task.deadlineMs) return { kind: "end", ending: failed(task, "task_timeout") };
      if (change.kind === "none") return { kind: "nothing" };
      return {
        kind: "change",
        result: { ...change, id: task.id, images: null, upstreamLinksExpireMs: null },
      };
  }
}

function failed(task: PollTarget, errorCode: Ending["errorCode"]): Ending {
  return { id: task.id, from: ["submitted"], state: "failed", images: [], errorCode };
}

/** After a pause of the account, the tasks that did not cause it are polled before those that did. */
const othersFirstMs = 30_000;

/**
 * Records polls: one statement for the tasks that go on, one transaction for those that end.
 * @param leaseUntilMs Claims the tasks that were found done for the caller, in the same write.
 * @returns the tasks that were found done.
 */
export async function recordPolls(
  invocation: Invocation,
  found: Found[],
  leaseUntilMs: number | null = null,
): Promise<{ toStore: Task[] }> {
  const changes = found.flatMap((one) => (one.kind === "change" ? [one.result] : []));
  const endings = found.flatMap((one) => (one.kind === "end" ? [one.ending] : []));
  const busy = found.filter((one) => one.kind === "busy");
  const skip = skipUnreadable(invocation);
  const toStore =
    changes.length > 0 ? await writePolls(invocation.db, changes, invocation.now(), leaseUntilMs, skip) : [];
  await finish(invocation, endings);
  if (busy.length > 0) {
    const untilMs =
      invocation.now() + Math.max(...busy.map(({ retryAfterMs }) => accountPauseMs(retryAfterMs)));
    await pauseUpstream(invocation, untilMs);
    await postponePolls(
      invocation.db,
      busy.map(({ id }) => id),
      untilMs + othersFirstMs,
    );
  }
  return { toStore };
}

/**
 * Polls a task because a caller reads it, at the pace of {@link refreshIntervalMs} however many callers read, and
 * stores its pictures if they are ready. Runs beside the reply.
 */
export async function refresh(invocation: Invocation, task: Task): Promise<void> {
  if (task.state !== "submitted" || task.submittedMs === null) return;
  const intervalMs = refreshIntervalMs(invocation.now() - task.submittedMs);
  if (invocation.now() - task.refreshedMs < intervalMs) return;
  await pollAndStore(invocation, task.id, intervalMs);
}

/** Polls a task that the upstream has, however recent the last poll was. */
export async function pollNow(invocation: Invocation, task: Task): Promise<void> {
  await pollAndStore(invocation, task.id, 0);
}

async function pollAndStore(invocation: Invocation, taskId: string, intervalMs: number): Promise<void> {
  const claimed = await claimRefresh(invocation.db, taskId, invocation.now(), intervalMs);
  if (!claimed) return;
  const found = await pollTask(invocation, claimed);
  const { toStore } = await recordPolls(invocation, [found], invocation.now() + storeLeaseMs);
  for (const task of toStore) await storeImages(invocation, task);
}
