/**
 * Looking at tasks upstream and writing down what was found: for a round of cron, for a reader, and for a
 * submit that was answered with a task already under way.
 */

import { coolDown } from "../../d1/cron/leases.ts";
import { claimRefresh, type LookResult, postponeLooks, writeLooks } from "../../d1/tasks/due-tasks.ts";
import type { Ending } from "../../d1/tasks/tasks.ts";
import { accountPauseMs } from "../../domain/back-off.ts";
import {
  changeFrom,
  type LookedAt,
  linkLifeMs,
  refreshIntervalMs,
  type UpstreamTask,
} from "../../domain/poll.ts";
import type { Task } from "../../domain/task.ts";
import type { Deps } from "../../platform/invocation.ts";
import { storeImages, storeLeaseMs } from "../images/store-images.ts";
import { finish } from "./finish.ts";

/** What one look leads to. */
export type Found =
  | { kind: "nothing" }
  | { kind: "change"; result: LookResult }
  | { kind: "end"; ending: Ending }
  | { kind: "busy"; id: string; retryAfterMs: number | null };

/** Looks at one task. A task past its deadline gets this one last look. */
export async function lookAt(deps: Deps, task: LookedAt): Promise<Found> {
  if (task.upstreamId === null) return { kind: "nothing" };
  const outcome = await deps.upstream.read(task.upstreamId);
  if (outcome.kind === "task") return resultOf(deps, task, outcome.seen);
  if (deps.now() >= task.deadlineMs) return { kind: "end", ending: failed(task, "task_timeout") };
  return outcome.kind === "busy" ? { ...outcome, id: task.id } : { kind: "nothing" };
}

/** What the upstream's word on a task leads to. */
export function resultOf(deps: Pick<Deps, "now" | "newId">, task: LookedAt, seen: UpstreamTask): Found {
  const change = changeFrom(task, seen);
  switch (change.kind) {
    case "failed":
      return { kind: "end", ending: failed(task, change.code) };
    case "done": {
      const images = change.links.map((source) => ({
        id: deps.newId("image"),
        source,
        state: "wanted" as const,
      }));
      const { id, estimatedSeconds } = task;
      const linksDieMs = deps.now() + linkLifeMs;
      return {
        kind: "change",
        result: { id, processing: true, progress: 99, estimatedSeconds, images, linksDieMs },
      };
    }
    case "progress":
    case "none":
      if (deps.now() >= task.deadlineMs) return { kind: "end", ending: failed(task, "task_timeout") };
      if (change.kind === "none") return { kind: "nothing" };
      return { kind: "change", result: { ...change, id: task.id, images: null, linksDieMs: null } };
  }
}

function failed(task: LookedAt, errorCode: Ending["errorCode"]): Ending {
  return { id: task.id, from: ["submitted"], state: "failed", images: [], errorCode };
}

/** After a pause of the account, those that did not cause it are looked at before those that did. */
const othersFirstMs = 30_000;

/**
 * Writes down what a round found: one statement for the tasks that go on, one transaction for those that end.
 * @param leaseUntilMs Has what is found done claimed for whoever looked, in the same write.
 * @returns the tasks that were found done.
 */
export async function recordLooks(
  deps: Deps,
  found: Found[],
  leaseUntilMs: number | null = null,
): Promise<{ toStore: Task[] }> {
  const changes = found.flatMap((one) => (one.kind === "change" ? [one.result] : []));
  const endings = found.flatMap((one) => (one.kind === "end" ? [one.ending] : []));
  const busy = found.filter((one) => one.kind === "busy");
  const toStore = changes.length > 0 ? await writeLooks(deps.db, changes, deps.now(), leaseUntilMs) : [];
  await finish(deps, endings);
  if (busy.length > 0) {
    const untilMs = deps.now() + Math.max(...busy.map(({ retryAfterMs }) => accountPauseMs(retryAfterMs)));
    await coolDown(deps.db, untilMs);
    await postponeLooks(
      deps.db,
      busy.map(({ id }) => id),
      untilMs + othersFirstMs,
    );
  }
  return { toStore };
}

/**
 * Looks at a task because somebody reads it, at the pace of {@link refreshIntervalMs} however many read, and
 * stores its pictures if they are ready. Runs beside the reply.
 */
export async function refresh(deps: Deps, task: Task): Promise<void> {
  if (task.state !== "submitted" || task.submittedMs === null) return;
  const intervalMs = refreshIntervalMs(deps.now() - task.submittedMs);
  if (deps.now() - task.refreshedMs < intervalMs) return;
  await lookAndStore(deps, task.id, intervalMs);
}

/** Looks at a task that the upstream has, whenever it was looked at last. */
export async function lookNow(deps: Deps, task: Task): Promise<void> {
  await lookAndStore(deps, task.id, 0);
}

async function lookAndStore(deps: Deps, taskId: string, intervalMs: number): Promise<void> {
  const claimed = await claimRefresh(deps.db, taskId, deps.now(), intervalMs);
  if (!claimed) return;
  const found = await lookAt(deps, claimed);
  const { toStore } = await recordLooks(deps, [found], deps.now() + storeLeaseMs);
  for (const task of toStore) await storeImages(deps, task);
}
