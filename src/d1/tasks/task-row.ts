/** Rows of `tasks` to `Task` and back, in one place, so that no statement can disagree with another on a column. */
import type { TaskFailureCode } from "../../domain/failures.ts";
import type { Model } from "../../domain/model-catalog.ts";
import type { Task, TaskImage, TaskState } from "../../domain/task.ts";
import type { TaskInput } from "../../domain/task-request.ts";

export interface TaskRow {
  id: string;
  tenant_id: string;
  key_id: string;
  request_id: string;
  origin: string;
  state: TaskState;
  version: number;
  model: Model;
  input: string;
  metadata: string;
  end_user: string | null;
  price_credits: number;
  created_ms: number;
  deadline_ms: number;
  finished_ms: number | null;
  due_ms: number;
  attempts: number;
  uncertain: number;
  upstream_id: string | null;
  submitted_ms: number | null;
  refreshed_ms: number;
  processing: number;
  progress: number;
  estimated_seconds: number | null;
  images: string;
  upstream_links_expire_ms: number | null;
  error_code: TaskFailureCode | null;
  hidden: number;
  hold_number: number | null;
  open: number;
  erasure: "none" | "pending" | "done";
}

export function taskFromRow(row: TaskRow): Task {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    keyId: row.key_id,
    requestId: row.request_id,
    origin: row.origin,
    state: row.state,
    version: row.version,
    model: row.model,
    input: JSON.parse(row.input) as TaskInput,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    endUser: row.end_user,
    priceCredits: row.price_credits,
    createdMs: row.created_ms,
    deadlineMs: row.deadline_ms,
    finishedMs: row.finished_ms,
    dueMs: row.due_ms,
    attempts: row.attempts,
    uncertain: row.uncertain === 1,
    upstreamId: row.upstream_id,
    submittedMs: row.submitted_ms,
    refreshedMs: row.refreshed_ms,
    processing: row.processing === 1,
    progress: row.progress,
    estimatedSeconds: row.estimated_seconds,
    images: JSON.parse(row.images) as TaskImage[],
    upstreamLinksExpireMs: row.upstream_links_expire_ms,
    errorCode: row.error_code,
    hidden: row.hidden === 1,
    holdNumber: row.hold_number,
    settled: row.open === 0,
    erased: row.erasure !== "none",
  };
}
