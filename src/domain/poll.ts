/**
 * Polling a task upstream: its schedule, and the change that a poll leads to. Pure, so that cron, a reader's refresh and a
 * reply to a submit that is already terminal all draw the same conclusion from the same words.
 */
import type { TaskFailureCode } from "./failures.ts";
import type { Task } from "./task.ts";

/** A task as the upstream shows it, as far as the gateway needs it. */
export interface UpstreamTask {
  /** Unknown words count as `pending`: the task is still running. */
  status: "pending" | "processing" | "completed" | "failed";
  /** 0 to 100, or null when absent or no number. */
  progress: number | null;
  estimatedSeconds: number | null;
  /** Links of finished pictures, each once, in order. */
  links: string[];
  /** Set when failed. */
  failure: TaskFailureCode | null;
}

/** How often a task is polled, by the time since the upstream took it. The last row holds for ever. */
export const pollSchedule = [
  { untilAgeMs: 120_000, everyMs: 3_000 },
  { untilAgeMs: 600_000, everyMs: 10_000 },
  { untilAgeMs: 1_800_000, everyMs: 30_000 },
  { untilAgeMs: Number.MAX_SAFE_INTEGER, everyMs: 60_000 },
] as const;

/** The upstream has no news of a task younger than this. */
export const firstPollMs = 3_000;

/** How long a reader's refresh keeps the next one away: the contract's pace, not cron's. */
export function refreshIntervalMs(ageMs: number): number {
  return ageMs < 60_000 ? 3_000 : 10_000;
}

/** How long the upstream's links live after it finished a task. */
export const upstreamLinkLifeMs = 24 * 3_600_000;

/** The parts of a task that a poll needs. */
export type PollTarget = Pick<
  Task,
  "id" | "state" | "createdMs" | "upstreamId" | "deadlineMs" | "processing" | "progress" | "estimatedSeconds"
> & {
  imagesAsked: number;
  /** A caller reads it, so its progress is worth a write; else only a change of state is. */
  isRead: boolean;
};

export type Change =
  | { kind: "none" }
  | { kind: "progress"; processing: boolean; progress: number; estimatedSeconds: number | null }
  | { kind: "done"; links: string[] }
  | { kind: "failed"; code: TaskFailureCode };

/**
 * The change that a poll leads to. Progress only goes up, and stays below 100 until the pictures are stored.
 * "Completed" without a usable link is not finished: the task stays, to be polled again.
 */
export function changeFrom(task: PollTarget, seen: UpstreamTask): Change {
  if (seen.status === "failed") return { kind: "failed", code: seen.failure ?? "unknown_error" };
  if (seen.status === "completed" && seen.links.length > 0) {
    return { kind: "done", links: seen.links.slice(0, task.imagesAsked) };
  }
  const processing = task.processing || seen.status !== "pending";
  const progress = Math.max(task.progress, Math.min(99, Math.floor(seen.progress ?? 0)));
  const estimatedSeconds = seen.estimatedSeconds ?? task.estimatedSeconds;
  const changed = processing !== task.processing || (task.isRead && progress !== task.progress);
  return changed ? { kind: "progress", processing, progress, estimatedSeconds } : { kind: "none" };
}
