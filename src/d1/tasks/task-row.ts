/** The codec of `tasks`: its columns, the JSON in them, and SQL that says the same of a row as the domain does. */
import { type TaskFailureCode, taskFailures } from "../../domain/failures.ts";
import type { Model } from "../../domain/model-catalog.ts";
import {
  bit,
  type Columns,
  type Decode,
  json,
  list,
  mapOf,
  oneOf,
  optional,
  orNull,
  record,
  rowCodec,
  text,
  whole,
  word,
} from "../../domain/stored.ts";
import {
  endStates,
  type ImageContentType,
  imageExtensions,
  imageStates,
  openStates,
  type StoredImage,
  type Task,
  type TaskImage,
  type TaskState,
} from "../../domain/task.ts";
import type { TaskInput } from "../../domain/task-request.ts";
import { isErased } from "../erasure/erasure-state.ts";
import { sqlWords } from "../sql-words.ts";

/** What the gateway reads of the input. The other fields go upstream as they came. */
type ReadInput = Pick<TaskInput, "prompt" | "n" | "image_urls" | "callback_url">;

export const taskInput = record<ReadInput>({
  prompt: text,
  n: whole,
  image_urls: optional(list(text)),
  callback_url: optional(text),
}) as Decode<TaskInput>;

export const contentType = oneOf(Object.keys(imageExtensions) as ImageContentType[]);

const storedImage = record<StoredImage>({
  contentType,
  width: whole,
  height: whole,
  bytes: whole,
  sha256: text,
});

const taskImages = list(
  record<TaskImage>({
    id: text,
    source: optional(text),
    state: oneOf(imageStates),
    stored: optional(storedImage),
  }),
);

const failureCode = (value: unknown): TaskFailureCode => {
  const code = text(value);
  return Object.hasOwn(taskFailures, code) ? (code as TaskFailureCode) : "unknown_error";
};

export const taskColumns = {
  id: ["id", text],
  tenantId: ["tenant_id", text],
  keyId: ["key_id", text],
  tokenId: ["token_id", orNull(text)],
  requestId: ["request_id", text],
  origin: ["origin", text],
  state: ["state", oneOf<TaskState>([...openStates, ...endStates])],
  version: ["version", whole],
  model: ["model", word<Model>()],
  input: ["input", json(taskInput)],
  metadata: ["metadata", json(mapOf(text))],
  endUser: ["end_user", orNull(text)],
  priceCredits: ["price_credits", whole],
  createdMs: ["created_ms", whole],
  deadlineMs: ["deadline_ms", whole],
  finishedMs: ["finished_ms", orNull(whole)],
  dueMs: ["due_ms", whole],
  attempts: ["attempts", whole],
  uncertain: ["uncertain", bit],
  upstreamId: ["upstream_id", orNull(text)],
  submittedMs: ["submitted_ms", orNull(whole)],
  refreshedMs: ["refreshed_ms", whole],
  processing: ["processing", bit],
  progress: ["progress", whole],
  estimatedSeconds: ["estimated_seconds", orNull(whole)],
  images: ["images", json(taskImages)],
  upstreamLinksExpireMs: ["upstream_links_expire_ms", orNull(whole)],
  errorCode: ["error_code", orNull(failureCode)],
  hidden: ["hidden", bit],
  holdNumber: ["hold_number", orNull(whole)],
  erased: ["erasure", isErased],
} as const satisfies Columns<Task>;

const task = rowCodec<Task>("tasks", taskColumns);

/** @throws StoredDataUnreadable */
export const taskFromRow = task.read;

/** SQL: a task has ended, or has not. @param row What the statement calls the row. */
export const hasEnded = (row = "tasks") => `${row}.state IN ${sqlWords(endStates)}`;
export const hasNotEnded = (row = "tasks") => `${row}.state NOT IN ${sqlWords(endStates)}`;

/** SQL: the upstream may be asked to make the pictures, or makes them. */
export const isBeforeStoring = `state IN ${sqlWords(["queued", "submitting", "submitted"] satisfies TaskState[])}`;

/**
 * SQL: the images that a task is charged for, as `chargedImages` of the domain; null where they cannot be read. Guarded:
 * a text that is no JSON would fail the statement for every task.
 */
export const chargedImages =
  "iif(state = 'completed', iif(json_valid(images), json_array_length(images), NULL), 0)";
export const chargedCredits = `${chargedImages} * price_credits`;
