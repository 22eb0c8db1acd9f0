/**
 * The client of EvoLink's task API. The only place that knows the upstream's paths and holds its key; the
 * key goes to the one configured origin and never along a redirect. Nothing of a reply leaves this folder
 * but the few facts that the gateway needs, in its own words.
 */

import type { Model } from "../domain/model-catalog.ts";
import type { UpstreamTask } from "../domain/poll.ts";
import { sentInput, type TaskInput } from "../domain/task-request.ts";
import { isTimeout, stoppedAfter } from "../domain/time-limit.ts";
import type { RefusalCode } from "./errors.ts";
import { readRefusal, readRetryAfterMs } from "./errors.ts";
import { parseAcceptance, parseCredits, parseTask } from "./replies.ts";

export type SubmitOutcome =
  /** The upstream has the task. It may be terminal already. */
  | { kind: "accepted"; upstreamId: string; seen: UpstreamTask }
  /** It definitely has not, and will not take it. */
  | { kind: "refused"; code: RefusalCode }
  /** It definitely has not, and may take it later. */
  | { kind: "busy"; retryAfterMs: number | null }
  /** It may or may not have it: the same request, under the same idempotency key, finds out. */
  | { kind: "unknown"; reason: string };

export type ReadOutcome =
  | { kind: "task"; seen: UpstreamTask }
  | { kind: "missing" }
  | { kind: "busy"; retryAfterMs: number | null }
  | { kind: "unknown"; reason: string };

export interface Upstream {
  /**
   * Submits a task.
   * @param idempotencyKey 16 to 96 of `[A-Za-z0-9._-]`; the same one always means the same task.
   */
  submit(model: Model, input: TaskInput, idempotencyKey: string): Promise<SubmitOutcome>;
  /** Reads a task by the upstream's own id. */
  read(upstreamId: string): Promise<ReadOutcome>;
  /** What the operator's account has left; null when the upstream does not say. */
  credits(): Promise<number | null>;
}

export interface UpstreamOptions {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Without a trailing slash. */
  baseUrl: string;
  key: string;
  /** One call, its body included. */
  timeoutMs: number;
  now: () => number;
}

/** Of the account, for the operator's eyes: nothing depends on it. */
const maxCreditsMs = 3_000;

/** A read that hangs must not hold up those of other tasks: it comes again in seconds anyway. */
const maxReadMs = 10_000;

/** Replies have a kilobyte or two. */
const usualReplyBytes = 8_192;
/** No reply that the gateway needs is anywhere near this. */
const maxReplyBytes = 1_048_576;

export const userAgent = "wan-gateway/1.0";

export function createUpstream(options: UpstreamOptions): Upstream {
  const call = (path: string, init: RequestInit, timeoutMs = options.timeoutMs): Promise<Reply> =>
    stoppedAfter(timeoutMs, async (signal) => {
      const response = await options.fetch(`${options.baseUrl}${path}`, {
        ...init,
        redirect: "manual",
        signal,
        headers: {
          ...init.headers,
          authorization: `Bearer ${options.key}`,
          accept: "application/json",
          "user-agent": userAgent,
        },
      });
      return { status: response.status, headers: response.headers, body: await readJson(response) };
    });

  return {
    async submit(model, input, idempotencyKey) {
      const reply = await attempt(() =>
        call("/v1/images/generations", {
          method: "POST",
          headers: { "content-type": "application/json", "idempotency-key": idempotencyKey },
          body: JSON.stringify({ model, ...sentInput(input) }),
        }),
      );
      if ("lost" in reply) return { kind: "unknown", reason: reply.lost };
      if (reply.status === 429) {
        return { kind: "busy", retryAfterMs: readRetryAfterMs(reply.headers, options.now()) };
      }
      if (reply.status >= 200 && reply.status < 300) {
        const accepted = parseAcceptance(reply.body);
        return accepted ? { kind: "accepted", ...accepted } : { kind: "unknown", reason: "no task id" };
      }
      const code = readRefusal(reply.status, reply.body);
      return code ? { kind: "refused", code } : { kind: "unknown", reason: `status ${reply.status}` };
    },

    async read(upstreamId) {
      const reply = await attempt(() =>
        call(
          `/v1/tasks/${encodeURIComponent(upstreamId)}`,
          { method: "GET" },
          Math.min(options.timeoutMs, maxReadMs),
        ),
      );
      if ("lost" in reply) return { kind: "unknown", reason: reply.lost };
      if (reply.status === 429) {
        return { kind: "busy", retryAfterMs: readRetryAfterMs(reply.headers, options.now()) };
      }
      if (reply.status === 404) return { kind: "missing" };
      const seen = reply.status === 200 ? parseTask(reply.body) : undefined;
      return seen ? { kind: "task", seen } : { kind: "unknown", reason: `status ${reply.status}` };
    },

    async credits() {
      const reply = await attempt(() => call("/v1/credits", { method: "GET" }, maxCreditsMs));
      return "lost" in reply || reply.status !== 200 ? null : parseCredits(reply.body);
    },
  };
}

interface Reply {
  status: number;
  headers: Headers;
  /** Parsed JSON, or undefined when the body is none. */
  body: unknown;
}

/** Whatever breaks on the way (time-out, reset, refused connection) leaves the outcome open. */
async function attempt(call: () => Promise<Reply>): Promise<Reply | { lost: string }> {
  try {
    return await call();
  } catch (error) {
    return { lost: isTimeout(error) ? "time-out" : "connection lost" };
  }
}

async function readJson({ body }: Response): Promise<unknown> {
  const text = body && (await readText(body));
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}

/** Undefined when it is too long. Asked for chunk by chunk, a body would cost a turn of the event loop for each. */
async function readText(body: ReadableStream<Uint8Array>): Promise<string | undefined> {
  const reader = body.getReader({ mode: "byob" });
  const decoder = new TextDecoder();
  let text = "";
  for (const bytes of [usualReplyBytes, maxReplyBytes]) {
    const { value } = await reader.readAtLeast(bytes, new Uint8Array(bytes));
    text += decoder.decode(value, { stream: true });
    if ((value?.byteLength ?? 0) < bytes) return text + decoder.decode();
  }
  await reader.cancel();
  return undefined;
}
