/**
 * Replies that OpenAI's clients wait for. For 55 s nothing is sent, so that whatever goes wrong has a status of its own;
 * clients and proxies give up on a connection that is silent for longer, so after that the reply has begun, with white
 * space every ten seconds. What fails then breaks the connection: half a reply is no JSON, so no client takes it for a whole one.
 */

import { isCallersFault, type TaskFailureCode, taskFailures } from "../../domain/failures.ts";
import {
  imageExtensions,
  imageKey,
  imageUrl,
  isFinished,
  type StoredImage,
  type Task,
} from "../../domain/task.ts";
import { ApiError, type errorBody } from "../../errors.ts";
import { slowestPaceMs, taskVersions, waitForTask } from "../../flows/tasks/wait.ts";
import { authorize } from "../../flows/tenants/authorize.ts";
import type { AppContext } from "../../http/context.ts";
import { takePlace } from "../../http/following.ts";
import { encode, streamOf } from "../../http/streams.ts";
import { linkBases } from "../../platform/link-bases.ts";
import type { Place } from "../../platform/places.ts";
import { keyRefused, taskDeleted } from "../tasks/refusals.ts";
import { base64Of } from "./base64.ts";
import type { WantedFormat } from "./openai-request.ts";

const silentMs = 55_000;
const pulseMs = 10_000;
const longestMs = 600_000;

/** How a finished task is written down, and what keeps the connection alive before. */
interface Writing {
  contentType: string;
  pulse: string;
  write: (task: Task) => AsyncGenerator<Uint8Array>;
}

/** Replies with a task's images once it has ended. @param headers Of the submission. */
export async function replyWithImages(
  c: AppContext,
  task: Task,
  headers: Record<string, string>,
  wanted: { format: WantedFormat; stream: boolean; event: string },
): Promise<Response> {
  const invocation = c.get("invocation");
  // Errors that are thrown from here on carry them too.
  const own = { ...headers, "x-task-id": task.id, "cache-control": "no-store" };
  for (const [name, value] of Object.entries(own)) c.header(name, value);
  const startMs = invocation.now();
  const writing: Writing = wanted.stream
    ? {
        contentType: "text/event-stream; charset=utf-8",
        pulse: ": drawing\n\n",
        write: (done) => writeEvents(c, done, wanted.event),
      }
    : { contentType: "application/json", pulse: " ", write: (done) => writeJson(c, done, wanted.format) };
  // The task is admitted, and this reply alone has its pictures: it waits also where there is no place.
  const place = takePlace(c, task.id);
  const latest = await waitForTask(invocation, c.get("caller"), task, place, silentMs / 1000).finally(
    place.end,
  );
  c.set("madeTask", latest);
  if (!isFinished(latest)) {
    const isCut = !c.req.raw.signal.aborted && invocation.now() < startMs + silentMs;
    if (isCut) throw await brokenOff(c);
    return writeLate(c, latest, startMs, writing);
  }
  if (latest.state !== "completed") return failedReply(c, latest);
  return streamReply(c, await begun(writing.write(latest)), writing);
}

/**
 * The platform compresses JSON for a client that takes it, and its encoder keeps small writes back: a sign of life would not
 * arrive. Each of the two stops some encoder on the way.
 */
const asItComes = { "cache-control": "no-store, no-transform", "content-encoding": "identity" };

function streamReply(
  c: AppContext,
  chunks: AsyncGenerator<Uint8Array>,
  { contentType }: Writing,
  end = () => {},
): Response {
  return c.body(streamOf(chunks, end), 200, { "content-type": contentType, ...asItComes });
}

/** Why there is no task to wait for any more: the key was revoked meanwhile, or it ended and was erased between two reads. */
async function brokenOff(c: AppContext): Promise<ApiError> {
  const authorized = await authorize(c.get("invocation"), c.get("caller"), { action: "read" });
  if (authorized.kind === "key_refused") return keyRefused(authorized.refusal);
  // What it had come to was erased with it.
  const { code, message } = taskDeleted();
  return new ApiError(code, message, { charged: "unknown" });
}

/** Has the first picture open before the status is sent: if the bucket is unavailable, it is 503. */
async function begun(chunks: AsyncGenerator<Uint8Array>): Promise<AsyncGenerator<Uint8Array>> {
  const first = await chunks.next();
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* chunks;
  })();
}

/** A reply that begins before its task has ended. */
function writeLate(c: AppContext, task: Task, startMs: number, writing: Writing): Response {
  const place = takePlace(c, task.id);
  return streamReply(c, lateChunks(c, task, place, startMs, writing), writing, place.end);
}

async function* lateChunks(
  c: AppContext,
  task: Task,
  place: Place,
  startMs: number,
  { pulse, write }: Writing,
): AsyncGenerator<Uint8Array> {
  const invocation = c.get("invocation");
  const caller = c.get("caller");
  yield encode(pulse);
  let pulsedMs = invocation.now();
  let latest = task;
  for await (const current of taskVersions(invocation, caller, task, place, startMs + longestMs, startMs)) {
    latest = current;
    // The next read may be too late for it.
    if (invocation.now() - pulsedMs + slowestPaceMs <= pulseMs) continue;
    pulsedMs = invocation.now();
    yield encode(pulse);
  }
  place.end();
  if (latest.state !== "completed") throw new Error("no picture to reply with");
  yield* write(latest);
}

function failedReply(c: AppContext, task: Task): Response {
  if (task.errorCode === null) {
    throw new ApiError("task_not_finished", "The task was cancelled before it had an image.");
  }
  const { message } = taskFailures[task.errorCode];
  const isCallers = isCallersFault(task.errorCode);
  c.set("errorCode", task.errorCode);
  const body = {
    error: {
      code: task.errorCode,
      message,
      type: isCallers ? "invalid_request_error" : "api_error",
      param: null,
      retryable: false,
      charged: "no",
    },
    request_id: c.get("requestId"),
  } satisfies Failure;
  // A retry of the same request is answered with the same task.
  return c.json(body, isCallers ? 400 : 500, {
    "x-should-retry": "false",
    "access-control-allow-origin": "*",
  });
}
type Envelope = ReturnType<typeof errorBody>;
type Failure = { error: Omit<Envelope["error"], "code"> & { code: TaskFailureCode }; request_id: string };

interface Stored {
  id: string;
  stored: StoredImage;
}

const storedImages = (task: Task): Stored[] =>
  task.images.flatMap(({ id, stored }) => (stored ? [{ id, stored }] : []));

/** OpenAI's clients expect tokens; images and credits are what counts here. */
function usageOf(c: AppContext, task: Task) {
  const images = storedImages(task).length;
  const isOwner = c.get("caller").kind === "secret";
  return {
    images,
    ...(isOwner && { credits_charged: images * task.priceCredits }),
    input_tokens: 0,
    input_tokens_details: { image_tokens: 0, text_tokens: 0 },
    output_tokens: 0,
    total_tokens: 0,
  };
}

async function* writeJson(c: AppContext, task: Task, format: WantedFormat): AsyncGenerator<Uint8Array> {
  const bases = linkBases(c.get("invocation").config, task.origin);
  let before = `{"created":${Math.floor(task.createdMs / 1000)},"data":[`;
  for (const { id, stored } of storedImages(task)) {
    const picture = format === "url" ? null : await openPicture(c, id);
    const url = JSON.stringify(imageUrl(bases, id, stored.contentType));
    yield encode(`${before}{${format === "b64_json" ? "" : `"url":${url}`}`);
    if (picture) {
      yield encode(`${format === "b64_json" ? "" : ","}"b64_json":"`);
      yield* inBase64(picture);
      yield encode('"');
    }
    yield encode("}");
    before = ",";
  }
  yield encode(`],"usage":${JSON.stringify(usageOf(c, task))}}`);
}

async function* writeEvents(c: AppContext, task: Task, event: string): AsyncGenerator<Uint8Array> {
  const bases = linkBases(c.get("invocation").config, task.origin);
  for (const { id, stored } of storedImages(task)) {
    const picture = await openPicture(c, id);
    const rest = {
      type: event,
      url: imageUrl(bases, id, stored.contentType),
      created_at: Math.floor(task.createdMs / 1000),
      size: `${stored.width}x${stored.height}`,
      quality: "auto",
      background: "opaque",
      output_format:
        imageExtensions[stored.contentType] === "jpg" ? "jpeg" : imageExtensions[stored.contentType],
      usage: usageOf(c, task),
    };
    yield encode(`event: ${event}\ndata: ${JSON.stringify(rest).slice(0, -1)},"b64_json":"`);
    yield* inBase64(picture);
    yield encode('"}\n\n');
  }
}

/** Before anything is written of it, so that what is wrong with the first one still has a status of its own. */
async function openPicture(c: AppContext, id: string): Promise<R2ObjectBody> {
  const object = await c.get("invocation").bucket.get(imageKey(id));
  // A picture is never empty: this is what is left of one that was deleted.
  if (!object || object.size === 0) throw new ApiError("deleted", "This picture was deleted.");
  return object;
}

/** Streamed out of the bucket. */
async function* inBase64(picture: R2ObjectBody): AsyncGenerator<Uint8Array> {
  for await (const text of base64Of(picture.body)) yield encode(text);
}
