/**
 * A task: its states, the record of it, and how it is shown.
 *
 *   submitting ─► submitted ─► storing ─► completed
 *        │  ▲         │           │
 *        ▼  │         │           └─► failed        (no picture could be stored)
 *      queued         └─► failed                    (the upstream failed it, or its deadline passed)
 *        │
 *        └─► failed, cancelled
 */
import type { TaskFailureCode } from "./failures.ts";
import { taskFailures } from "./failures.ts";
import type { Model } from "./model-catalog.ts";
import type { TaskInput } from "./task-request.ts";

export const openStates = ["submitting", "queued", "submitted", "storing"] as const;
export const endStates = ["completed", "failed", "cancelled"] as const;
export type OpenState = (typeof openStates)[number];
export type EndState = (typeof endStates)[number];
export type TaskState = OpenState | EndState;

/** `wanted`: still to be stored; `lost`: it cannot be, for good. */
export const imageStates = ["wanted", "stored", "lost"] as const;

/** One picture of a task. Its id is recorded before its bytes are stored under it. */
export interface TaskImage {
  id: string;
  /** The upstream's link, dropped when the task ends. */
  source?: string;
  state: (typeof imageStates)[number];
  stored?: StoredImage;
}

/** What is known of a stored picture, all of it read from its bytes. */
export interface StoredImage {
  contentType: ImageContentType;
  width: number;
  height: number;
  bytes: number;
  /** SHA-256, hexadecimal. */
  sha256: string;
}

export const imageExtensions = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" } as const;
export type ImageContentType = keyof typeof imageExtensions;

/** A task as D1 holds it. */
export interface Task {
  id: string;
  tenantId: string;
  keyId: string;
  /** Of the client token that submitted it. */
  tokenId: string | null;
  requestId: string;
  /** Scheme and host that the task was submitted through. */
  origin: string;
  state: TaskState;
  /** Goes up with every change that a caller can see. */
  version: number;
  model: Model;
  input: TaskInput;
  metadata: Record<string, string>;
  endUser: string | null;
  /** Whole credits per image, as of the submission. */
  priceCredits: number;
  createdMs: number;
  deadlineMs: number;
  finishedMs: number | null;
  /** Cron leaves the task alone until then: the end of its holder's lease, or of a back-off. */
  dueMs: number;
  /** How often it was sent upstream (submitting, queued), or attempted to be stored (storing). */
  attempts: number;
  /** A send ended without an answer: the upstream may have the task, so it can never be called off. */
  uncertain: boolean;
  upstreamId: string | null;
  /** When the upstream took it. */
  submittedMs: number | null;
  /** When a reader last caused a poll. */
  refreshedMs: number;
  /** Whether the upstream has said that it works on it. */
  processing: boolean;
  progress: number;
  estimatedSeconds: number | null;
  images: TaskImage[];
  /** When the upstream's links stop working. */
  upstreamLinksExpireMs: number | null;
  errorCode: TaskFailureCode | null;
  /** The waiting caller got the refusal: the row is for the operator, in no list of the tenant's. */
  hidden: boolean;
  /** The number of its hold in the tenant's object; null for one that was admitted before there were holds. */
  holdNumber: number | null;
  /** Its text is gone, and its pictures are or will be. */
  erased: boolean;
}

/** The words that callers see for the states. */
export const taskStatuses = ["pending", "processing", ...endStates] as const;
export type TaskStatus = (typeof taskStatuses)[number];

/** The word that callers see for a task's state. */
export function taskStatus(task: Pick<Task, "state" | "processing">): TaskStatus {
  switch (task.state) {
    case "submitting":
    case "queued":
      return "pending";
    case "submitted":
      return task.processing ? "processing" : "pending";
    case "storing":
      return "processing";
    case "completed":
    case "failed":
    case "cancelled":
      return task.state;
  }
}

export function isFinished(task: Pick<Task, "state">): boolean {
  return (endStates as readonly string[]).includes(task.state);
}

/** Public addresses that a task's links are made of. */
export interface LinkBases {
  /** Origin of the API, without a trailing slash. */
  api: string;
  /** Origin of an R2 custom domain, or null for the gateway's own route. */
  imageDomain: string | null;
}

/** The permanent URL of a stored picture. On an R2 custom domain the path is the object's key. */
export function imageUrl(bases: LinkBases, id: string, contentType: ImageContentType): string {
  if (bases.imageDomain !== null) return `${bases.imageDomain}/${imageKey(id)}`;
  return `${bases.api}/images/${id}.${imageExtensions[contentType]}`;
}

/**
 * Where a picture's bytes are in R2. Without an extension: the key is fixed before the bytes are known,
 * so that two writers of one picture always meet at one key and a create-only put decides.
 */
export function imageKey(id: string): string {
  return `images/${id}`;
}

/**
 * The task as its owner sees it.
 * @param withCredits Browser keys and tokens, which strangers hold, see none.
 * @param position In the queue, where it is known.
 */
export function viewTask(task: Task, bases: LinkBases, withCredits: boolean, position: number | null = null) {
  const images = task.images.flatMap(({ id, stored }) =>
    stored
      ? [
          {
            url: imageUrl(bases, id, stored.contentType),
            width: stored.width,
            height: stored.height,
            bytes: stored.bytes,
            content_type: stored.contentType,
          },
        ]
      : [],
  );
  const listed = task.state === "completed" ? images : [];
  return {
    id: task.id,
    object: "image.generation.task" as const,
    type: "image" as const,
    model: task.model,
    created: toSeconds(task.createdMs),
    finished: task.finishedMs === null ? null : toSeconds(task.finishedMs),
    status: taskStatus(task),
    progress: task.progress,
    results: listed.map((image) => image.url),
    images: listed,
    task_info: {
      can_cancel: task.state === "queued",
      estimated_time: isFinished(task) ? null : task.estimatedSeconds,
      queue_position: position,
    },
    usage: {
      images: listed.length,
      ...(withCredits && {
        credits_held: isFinished(task) ? 0 : task.priceCredits * task.input.n,
        credits_charged: task.priceCredits * listed.length,
      }),
    },
    input: task.input,
    metadata: task.metadata,
    end_user: task.endUser,
    error: viewFailure(task.errorCode),
    links: { self: `${bases.api}/v1/tasks/${task.id}` },
  };
}

export type TaskView = ReturnType<typeof viewTask>;

function viewFailure(code: TaskFailureCode | null) {
  if (code === null) return null;
  return {
    code,
    message: taskFailures[code].message,
    type: "task_error" as const,
    retryable: taskFailures[code].retryable,
    charged: "no" as const,
  };
}

/** Unix seconds, as every time on the wire. */
export function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
