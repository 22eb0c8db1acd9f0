/** Sends a picture's bytes, honestly or not: cut, slow, mislabelled, stalled. */
import { padPicture } from "./padding.ts";
import type { Serve } from "./script.ts";
import { ConnectionReset, hang } from "./wire.ts";
import type { Call } from "./world.ts";

const CHUNK_BYTES = 64 * 1024;

interface Delivery {
  bytes: Uint8Array;
  serve: Serve;
  type: string;
  request: Request;
  call: Call;
}

export function pictureReply({ bytes, serve, type, request, call }: Delivery): Response {
  const whole = serve.padToBytes === undefined ? bytes : padPicture(bytes, serve.padToBytes);
  const keep = serve.keepBytes ?? Math.floor(whole.length * (serve.keepShare ?? 1));
  const sent = whole.subarray(0, keep);
  const declared = declaredLength(serve, sent.length, whole.length);
  const headers = new Headers({ etag: `"${sent.length}"`, "cache-control": "public, max-age=86400" });
  if (serve.type !== null) headers.set("content-type", serve.type ?? type);
  if (declared !== undefined) headers.set("content-length", String(declared));
  if (request.method === "HEAD") return new Response(null, { headers });

  const ending = serve.ending ?? (declared !== undefined && declared > sent.length ? "reset" : "end");
  return new Response(byteStream({ bytes: sent, serve, ending, signal: request.signal, call }), { headers });
}

function declaredLength(serve: Serve, sentBytes: number, wholeBytes: number): number | undefined {
  switch (serve.length) {
    case "absent":
      return undefined;
    case "whole":
      return wholeBytes;
    case undefined:
    case "sent":
      return sentBytes;
    default:
      return serve.length;
  }
}

interface Sending {
  bytes: Uint8Array;
  serve: Serve;
  ending: "end" | "reset" | "stall";
  signal: AbortSignal;
  call: Call;
}

function byteStream({ bytes, serve, ending, signal, call }: Sending): ReadableStream<Uint8Array> {
  const stop = new AbortController();
  const given = AbortSignal.any([signal, stop.signal]);
  const size = serve.dripBytes ?? CHUNK_BYTES;
  call.body = "sending";
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        if (call.sentBytes < bytes.length) {
          if (call.sentBytes > 0 && serve.dripMs !== undefined) await pause(serve.dripMs, given);
          given.throwIfAborted();
          // A copy: the bytes may be cached, and a reader may take over the buffer that it is given.
          const chunk = bytes.slice(call.sentBytes, call.sentBytes + size);
          call.sentBytes += chunk.length;
          controller.enqueue(chunk);
          return;
        }
        if (ending === "stall") await hang(given);
        if (ending === "reset") throw new ConnectionReset();
        call.body = "sent";
        controller.close();
      } catch (error) {
        call.body = given.aborted ? "stopped" : "broken";
        if (!stop.signal.aborted) controller.error(error);
      }
    },
    cancel() {
      call.body = "stopped";
      stop.abort();
    },
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", leave);
      resolve();
    }, ms);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
}
