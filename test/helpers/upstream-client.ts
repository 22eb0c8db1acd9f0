/** The client under test, against a simulator or against replies made by hand; every call of it is kept. */
import type { Model } from "../../src/domain/model-catalog.ts";
import type { TaskInput } from "../../src/domain/task-request.ts";
import { createUpstream, type Upstream } from "../../src/upstream/evolink.ts";
import { createSimulator, type Simulator } from "../simulator/app.ts";

export const apiKey = "sk-upstream-0123456789";
export const baseUrl = "https://upstream.example";
export const t0 = 1_900_000_000_000;
/** Far shorter than a test may take; long enough for a reply in this process. */
export const shortMs = 50;

export const model: Model = "wan-2.7-image";
export const input: TaskInput = { prompt: "a lighthouse", n: 2, size: "square" };
export const taskId = "task-01kd2y5m00abcdefghjkmnpqrstvwxy";

export interface SentCall {
  url: string;
  init: RequestInit;
}

export interface Client {
  upstream: Upstream;
  calls: SentCall[];
  submit(): ReturnType<Upstream["submit"]>;
  read(): ReturnType<Upstream["read"]>;
}

function client(fetch: (request: Request) => Promise<Response>, timeoutMs: number): Client {
  const calls: SentCall[] = [];
  const upstream = createUpstream({
    async fetch(url, init) {
      calls.push({ url, init });
      return fetch(new Request(url, init));
    },
    baseUrl,
    key: apiKey,
    timeoutMs,
    now: () => t0,
  });
  return {
    upstream,
    calls,
    submit: () => upstream.submit(model, input, taskId),
    read: () => upstream.read("task-unified-1757165031-uyujaw3d"),
  };
}

/** A client whose every call is answered by `reply`; redirects are followed unless the call forbids it. */
export function answered(
  reply: (request: Request) => Response | Promise<Response>,
  timeoutMs = 5_000,
): Client {
  const redirected = async (request: Request): Promise<Response> => {
    const response = await reply(request);
    const location = response.headers.get("location");
    if (request.redirect === "manual" || location === null) return response;
    made.calls.push({ url: location, init: request });
    return response;
  };
  const made = client(redirected, timeoutMs);
  return made;
}

/** A client answered with one JSON body. */
export const answeredJson = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  answered(() => Response.json(body, { status, headers }));

/** A client of a simulator whose clock starts at `t0`. */
export function simulated(timeoutMs = 5_000): Client & { simulator: Simulator } {
  const simulator = createSimulator({
    apiKey,
    now: () => t0,
    picture: () => Promise.reject(new Error("the client fetches no pictures")),
  });
  return { ...client((request) => simulator.fetch(request), timeoutMs), simulator };
}
