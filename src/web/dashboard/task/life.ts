/** A task's life as stations in words: those that are done, the current one, those ahead and those that are skipped. */
import type { AdminTask } from "#gateway";
import { count, showSeconds } from "../../ui/format.ts";

export interface Station {
  name: string;
  /** `skipped`: the task ended before it. */
  state: "done" | "now" | "ahead" | "skipped" | "bad";
  /** Unix seconds; null: not known, or not yet. */
  at: number | null;
  text: string;
}

export const isOver = (task: AdminTask): boolean => task.finished !== null;

/** The time from submission to the end; empty while the task runs. */
export const took = (task: AdminTask): string =>
  task.finished === null ? "" : showSeconds(task.finished - task.created);

export const showAttempts = (attempts: number): string => count(attempts, "attempt");

export function lifeOf(task: AdminTask): Station[] {
  return [
    {
      name: "Submitted",
      state: "done",
      at: task.created,
      text: task.hidden ? `with ${task.key}; refused while the caller waited` : `with ${task.key}`,
    },
    accepted(task),
    doneUpstream(task),
    ended(task),
    settled(task),
  ];
}

const waitingStates: Record<string, string> = {
  submitting: "is being sent",
  queued: "waits for its turn",
};

function accepted(task: AdminTask): Station {
  const name = "Accepted upstream";
  const attempts = showAttempts(task.attempts);
  if (task.submitted_at !== null) {
    return { name, state: "done", at: task.submitted_at, text: `as ${task.upstream_id ?? "an unknown id"}` };
  }
  if (isOver(task)) return { name, state: "skipped", at: null, text: `it never was, in ${attempts}` };
  return {
    name,
    state: "now",
    at: null,
    text: `${waitingStates[task.state] ?? task.state}, ${attempts} so far`,
  };
}

function doneUpstream(task: AdminTask): Station {
  const name = "Done upstream";
  if (task.storing_at !== null)
    return { name, state: "done", at: task.storing_at, text: "pictures are stored from here on" };
  if (task.status === "completed")
    return { name, state: "done", at: null, text: "with the reply to its submission" };
  if (isOver(task)) return { name, state: "skipped", at: null, text: "not before it ended" };
  if (task.state !== "submitted") return { name, state: "ahead", at: null, text: "" };
  const guess = task.task_info.estimated_time;
  const text = `${task.progress} % done${guess === null ? "" : `, about ${showSeconds(guess)} in all`}`;
  return { name, state: "now", at: null, text };
}

function ended(task: AdminTask): Station {
  const stored = count(task.usage.images, "picture");
  switch (task.status) {
    case "completed":
      return {
        name: "Completed",
        state: "done",
        at: task.finished,
        text: `${stored} stored, after ${took(task)}`,
      };
    case "failed":
      return {
        name: "Failed",
        state: "bad",
        at: task.finished,
        text: task.error?.message ?? "for an unknown reason",
      };
    case "cancelled":
      return { name: "Cancelled", state: "done", at: task.finished, text: "by its caller" };
    default: {
      const isStoring = task.state === "storing";
      const text = isStoring ? `pictures are being stored, ${showAttempts(task.attempts)} so far` : "";
      return { name: "Finished", state: isStoring ? "now" : "ahead", at: null, text };
    }
  }
}

function settled(task: AdminTask): Station {
  const { credits_held: held = 0, credits_charged: charged = 0 } = task.usage;
  const name = "Settled";
  if (task.settled) {
    const text =
      charged > 0 ? `${count(charged, "credit")} charged` : "nothing charged, the hold is released";
    return { name, state: "done", at: null, text };
  }
  if (isOver(task)) return { name, state: "now", at: null, text: "under way" };
  return { name, state: "ahead", at: null, text: `${count(held, "credit")} held` };
}
