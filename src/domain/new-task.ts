/** A task as it begins: what its submission says of it, what its first sender learns, and the record that both make. */
import type { TaskFailureCode } from "./failures.ts";
import type { Task } from "./task.ts";

/** A new task. `dueMs`: until then its first sender has it to itself. */
export type NewTask = Pick<
  Task,
  | "id"
  | "tenantId"
  | "keyId"
  | "tokenId"
  | "requestId"
  | "origin"
  | "model"
  | "input"
  | "metadata"
  | "endUser"
  | "priceCredits"
  | "holdNumber"
  | "createdMs"
  | "deadlineMs"
  | "dueMs"
>;

/** That the upstream has taken a task. */
export interface Submitted extends Pick<Task, "estimatedSeconds"> {
  upstreamId: string;
  submittedMs: number;
}

/** What the first sender of a task has learned. `dueMs`: when cron sends it again. */
export type FirstOutcome =
  | ({ kind: "submitted" } & Submitted)
  /** The upstream, or its account, has no room: the task waits for its turn. */
  | { kind: "busy"; dueMs: number }
  /** The upstream may have the task. */
  | { kind: "unknown"; dueMs: number }
  /** There is no task: its caller has the refusal. The record is for the operator, unless a replay has shown the task. */
  | { kind: "refused"; errorCode: TaskFailureCode; finishedMs: number; hidden: boolean };

/** The record of a new task. @param outcome Null: its first sender has none yet. */
export function recordOf(task: NewTask, outcome: FirstOutcome | null): Task {
  return { ...task, ...begun, ...(outcome && changesOf(outcome)) };
}

const begun = {
  state: "submitting",
  version: 1,
  attempts: 1,
  finishedMs: null,
  uncertain: false,
  upstreamId: null,
  submittedMs: null,
  refreshedMs: 0,
  processing: false,
  progress: 0,
  estimatedSeconds: null,
  images: [],
  upstreamLinksExpireMs: null,
  errorCode: null,
  hidden: false,
  erased: false,
} satisfies Partial<Task>;

function changesOf(outcome: FirstOutcome): Partial<Task> {
  switch (outcome.kind) {
    case "submitted": {
      const { upstreamId, submittedMs, estimatedSeconds } = outcome;
      return {
        ...{ state: "submitted", version: 2, upstreamId, submittedMs, estimatedSeconds },
        ...{ refreshedMs: submittedMs, dueMs: submittedMs },
      };
    }
    case "busy":
      return { state: "queued", dueMs: outcome.dueMs };
    case "unknown":
      return { uncertain: true, version: 2, dueMs: outcome.dueMs };
    case "refused": {
      const { errorCode, finishedMs, hidden } = outcome;
      return { state: "failed", version: 2, errorCode, finishedMs, hidden };
    }
  }
}
