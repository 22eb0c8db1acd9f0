/**
 * A gateway inside workerd for tests: the real app over real D1, R2 and Durable Objects, a simulator in place
 * of the upstream, and one clock that only moves when a test moves it, or, in virtual time, when all sleep.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createApp } from "../../src/app.ts";
import { type Config, readConfig } from "../../src/config.ts";
import type { ImageContentType } from "../../src/domain/task.ts";
import { sendLane, storeLane } from "../../src/flows/cron/lanes.ts";
import { runTick } from "../../src/flows/cron/tick.ts";
import { deliverLane } from "../../src/flows/webhooks/deliver.ts";
import type { ByteMemory } from "../../src/platform/byte-memory.ts";
import { measureDatabase } from "../../src/platform/d1-usage.ts";
import { edgeLimits } from "../../src/platform/edge-limits.ts";
import { createInvocation, type Invocation } from "../../src/platform/invocation.ts";
import { createIsolateMemory } from "../../src/platform/isolate-memory.ts";
import type { Lanes } from "../../src/platform/lanes.ts";
import { createSimulator, type PictureSpec, type Simulator } from "../simulator/app.ts";
import { expectDocumented } from "./documented.ts";
import { type PlatformEvent, platformEvent } from "./platform-event.ts";
import { objectsInUse, stopWriting } from "./setup.ts";
import { strictCache, strictEnv } from "./strict-bindings.ts";
import type { VirtualTime } from "./virtual-time.ts";
import { createWorkQueue, type WorkQueue } from "./work-queue.ts";

export const origin = "https://gateway.example";
export const upstreamOrigin = "https://upstream.example";
export const filesOrigin = "https://files.upstream.example";

/** Runs a call to a binding or to the network; a test's faults go in here. `name` says which call it is. */
export type Around = <T>(name: string, call: () => Promise<T>) => Promise<T>;

export interface TestGateway {
  config: Config;
  simulator: Simulator;
  now(): number;
  /** Not in virtual time, where only sleep passes. */
  advance(ms: number): void;
  /** Sleeps as the gateway does. */
  sleep(ms: number): Promise<void>;
  time: VirtualTime | undefined;
  /** Sends a request; work beside the reply is done when it returns, except in virtual time. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Like `fetch`, with a JSON body. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  admin(method: string, path: string, body?: unknown): Promise<Response>;
  /** Runs one cron tick and whatever it leaves beside it, and consumers of what it enqueues. */
  tick(): Promise<void>;
  /** What ticks enqueue. */
  work: WorkQueue;
  /** Invocation as a request gets them, for tests that call flows. */
  invocation(): Invocation;
  /** Everything that was logged, a parsed line each. */
  logs: Record<string, unknown>[];
  makeTenant(body?: object): Promise<{ id: string; key: string; keyId: string }>;
}

export interface GatewayOptions {
  /** Values over those of wrangler.toml. */
  vars?: Record<string, unknown>;
  around?: Around;
  /** Another gateway whose clock and simulator this one shares. */
  beside?: TestGateway;
  /** Stands in for Cloudflare where Turnstile's answers are verified; without it there is no Turnstile. */
  turnstile?: (form: FormData) => Response;
  /** Hosts beside the simulator that a fetch may call, by origin. */
  hosts?: Record<string, (request: Request) => Response | Promise<Response>>;
  /** Other lanes than the real ones. */
  lanes?: Partial<Lanes>;
  /**
   * Consumers of what ticks enqueue: as many side by side, in virtual time; or only when the test delivers; or no
   * Queue at all.
   */
  consumers?: number | "by hand" | "none";
  /** Has sleepers share a clock that moves by itself; without it, each sleeper moves it for all. */
  time?: VirtualTime;
  /** When its clock starts, unless it shares one: unix milliseconds. */
  startMs?: number;
  /** Limits at the edge that are used up: binding and key. Using up thousands takes the real ones seconds. */
  usedUp?: Set<string>;
  /** What counts the memory of bodies and pictures, where a test measures it. */
  byteMemory?: ByteMemory;
  /** It has yet to ask whether D1 has its tables. */
  isNewIsolate?: boolean;
  /** The cache at the edge; without it one that keeps nothing, which is what there is on `workers.dev`. */
  cache?: Invocation["cache"];
}

const noCache: Invocation["cache"] = {
  match: async () => undefined,
  put: async (_address, response) => void (await response.body?.cancel()),
  delete: async () => false,
};

const plain: Around = (_name, call) => call();

/** What the build has made of what callers of the API get: no pages. */
const builtAssets = {
  fetch: async (request: Request) =>
    new URL(request.url).pathname === "/openapi.json"
      ? new Response(env.OPENAPI_DOCUMENT)
      : new Response(null, { status: 404 }),
};

export function startGateway({
  vars = {},
  around = plain,
  beside,
  turnstile,
  hosts = {},
  lanes = {},
  time = beside?.time,
  cache = noCache,
  byteMemory = new Set(),
  usedUp,
  isNewIsolate = false,
  consumers = 24,
  // A full minute, so that a tick has all of it.
  startMs = 1_900_000_020_000,
}: GatewayOptions = {}): TestGateway {
  const config = testConfig(vars);
  let nowMs = startMs;
  const now = beside?.now ?? time?.now ?? (() => nowMs);
  const simulator =
    beside?.simulator ??
    createSimulator({ apiKey: config.UPSTREAM_API_KEY, now, picture: drawPicture, filesOrigin });
  const logs: Record<string, unknown>[] = [];
  const pending: Promise<unknown>[] = [];
  const memory = { ...createIsolateMemory(), byteMemory };
  if (!isNewIsolate) memory.migrations.atMs = Number.POSITIVE_INFINITY;

  const reach = (url: string, init: RequestInit) =>
    reached(`fetch ${init.method ?? "GET"}`, async () => {
      const request = new Request(url, init);
      const host = hosts[new URL(url).origin];
      if (host) return Promise.race([host(request), abortOf(init.signal)]);
      if (url !== config.TURNSTILE_VERIFY_URL) return simulator.fetch(request);
      if (!turnstile) throw new TypeError("connection refused");
      return turnstile(await request.formData());
    });
  const invocationOf = (event: PlatformEvent): Invocation => {
    const made: Invocation = createInvocation(config, {
      env: strictEnv(withQueue(limitersIn(time, usedUp, faultyEnv(reached))), event),
      now,
      sleep,
      cache: strictCache(cache, event),
      fetch: (url, init) => event.connect("fetch", () => reach(url, init), init.signal),
      log: (entry) => logs.push(JSON.parse(JSON.stringify(entry)) as Record<string, unknown>),
      waitUntil: (work) => pending.push(work),
      memory,
      // The real lanes, in this invocation, as they share its connections: a test wants to know when they are done.
      lanes: {
        send: (untilMs) => sendLane(made, untilMs),
        store: (untilMs, leaseUntilMs) => storeLane(made, untilMs, leaseUntilMs),
        deliver: (untilMs) =>
          time ? deliverLane(made, untilMs) : deliverLane({ ...made, sleep: forEver }, 0),
        ...lanes,
      },
    });
    return made;
  };
  const invocation = () => invocationOf(platformEvent("message", now));
  const besides =
    time && typeof consumers === "number"
      ? { concurrency: consumers, delayMs: deliveryMs, sleep: time.sleep }
      : undefined;
  const work = createWorkQueue({ invocation, besides });
  const withQueue = (bindings: Env) => ({
    ...bindings,
    ASSETS: builtAssets as Env["ASSETS"],
    WORK: (consumers === "none" ? undefined : faultyQueue(work.binding, reached)) as Env["WORK"],
  });
  const reached: Around = time ? (name, call) => time.during(name, () => around(name, call)) : around;
  // Whatever goes on beside takes no time: it is done before the clock moves.
  const stepOn = async (ms: number) => {
    await settle();
    await untilPicturesAreRead(byteMemory);
    advance(ms);
  };
  const sleep = time?.sleep ?? stepOn;
  const advance = (ms: number) => {
    if (time) throw new Error("in virtual time the clock moves by itself");
    if (beside) beside.advance(ms);
    else nowMs += ms;
  };
  const settle = async () => {
    while (pending.length > 0) await pending.shift();
  };
  /** The event of each request, by the context that the app is given with it. */
  const events = new WeakMap<object, PlatformEvent>();
  const app = createApp(config, (context) =>
    invocationOf(events.get(context) ?? platformEvent("request", now)),
  );
  const gateway: TestGateway = {
    config,
    simulator,
    now,
    advance,
    sleep,
    time,
    logs,
    invocation,
    work,
    async fetch(path, init) {
      const context = {} as ExecutionContext;
      const event = platformEvent("request", now);
      events.set(context, event);
      const response = await app.fetch(new Request(`${origin}${path}`, init), env, context);
      if (!goesOn(response)) event.replied();
      if (!time) {
        await settle();
        await expectDocumented(app, config, init?.method ?? "GET", path, response);
      }
      return response;
    },
    post: (path, body, headers = {}) => gateway.fetch(path, jsonRequest("POST", body, headers)),
    admin(method, path, body) {
      const headers = { authorization: `Bearer ${config.ADMIN_API_KEY}` };
      return gateway.fetch(`/admin/api${path}`, jsonRequest(method, body, headers));
    },
    async tick() {
      await writeLate(reached);
      await runTick(invocationOf(platformEvent("tick", now)));
      await settle();
      if (!time && typeof consumers === "number") await work.drain().then(settle);
    },
    async makeTenant(body = {}) {
      const tenant = await made<{ id: string }>(
        await gateway.admin("POST", "/tenants", { name: "Test", ...body }),
      );
      const key = await made<{ id: string; key: string }>(
        await gateway.admin("POST", `/tenants/${tenant.id}/keys`, { name: "test", kind: "secret" }),
      );
      return { id: tenant.id, key: key.key, keyId: key.id };
    },
  };
  return gateway;
}

/** Whether a reply comes bit by bit, and is not over when it begins. */
const goesOn = ({ headers }: Response) =>
  headers.get("content-type")?.startsWith("text/event-stream") ||
  headers.get("cache-control")?.includes("no-transform");

/** Turns of the event loop that the bytes of a picture take at the most, unless their host hangs. */
const mostTurns = 20;

/** A picture that is being read takes no time by a clock that others move: its host would seem to drip. */
async function untilPicturesAreRead(memory: ByteMemory): Promise<void> {
  const isRead = () => ![...memory].some(({ use }) => use === "picture");
  for (let turn = 0; turn < mostTurns && !isRead(); turn++) await new Promise((goOn) => setTimeout(goOn));
}

function testConfig(vars: Record<string, unknown>): Config {
  const usual = { UPSTREAM_BASE_URL: upstreamOrigin, POLL_ROUND_SECONDS: 0, LOG_READS: 1 };
  const read = readConfig({ ...env, ...usual, ...vars });
  if ("config" in read) return read.config;
  throw new Error(`the test's configuration is wrong: ${read.misconfigured.join(", ")}`);
}

function jsonRequest(method: string, body: unknown, headers: Record<string, string>): RequestInit {
  if (body === undefined) return { method, headers };
  return { method, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
}

/** A lane whose sleep would move everybody's clock goes on when a call of its own is over. */
const forEver = () => new Promise<void>(() => undefined);

/** Rejects when a fetch is given up, as the platform's does. */
function abortOf(signal: AbortSignal | null | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

async function made<T>(response: Response): Promise<T> {
  if (response.status !== 201) throw new Error(`not made: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** From a message's sending to its consumer: an assumption, the platform promises nothing. */
const deliveryMs = 500;

function faultyQueue(queue: Queue<string>, around: Around): Queue<string> {
  return {
    sendBatch: (messages: Iterable<MessageSendRequest<string>>) =>
      around("Queue", () => queue.sendBatch(messages)),
  } as Queue<string>;
}

/** The bindings, with `around` around each call to one. */
function faultyEnv(around: Around): Env {
  const bucket = {
    put: (...args: Parameters<R2Bucket["put"]>) => around("R2 put", () => env.IMAGES.put(...args)),
    get: (...args: Parameters<R2Bucket["get"]>) => around("R2 get", () => env.IMAGES.get(...args)),
    head: (key: string) => around("R2 head", () => env.IMAGES.head(key)),
    delete: (keys: string | string[]) => around("R2 delete", () => env.IMAGES.delete(keys)),
    list: (options?: R2ListOptions) => around("R2 list", () => env.IMAGES.list(options)),
  } as R2Bucket;
  const tenants = {
    getByName(name: string, options?: DurableObjectNamespaceGetDurableObjectOptions) {
      type Calls = Record<string, (...args: unknown[]) => Promise<unknown>>;
      const stub = env.TENANTS.getByName(name, options) as unknown as Calls;
      return new Proxy({} as Calls, {
        get:
          (_none, method: string) =>
          (...args: unknown[]) =>
            around(`object ${method}`, async () => {
              await givenFaults(stub as unknown as DurableObjectStub, around);
              return stub[method]?.(...args);
            }),
      });
    },
  } as unknown as Env["TENANTS"];
  const database = measureDatabase(
    env.DB,
    (call) => around("D1", call),
    () => undefined,
  );
  return { ...env, DB: database, IMAGES: bucket, TENANTS: tenants };
}

/** What the tenants' objects do by themselves two seconds after they took a task: a test's clock has moved on meanwhile. */
async function writeLate(around: Around): Promise<void> {
  const write = async (object: DurableObjectStub) => {
    await givenFaults(object, around);
    await (object as unknown as { flush(): Promise<void> }).flush();
  };
  await Promise.all(objectsInUse().map((object) => write(object).catch(() => undefined)));
}

/** Has what an object writes to D1 on a gateway's behalf fail as that gateway's own calls do. */
async function givenFaults(stub: DurableObjectStub, around: Around): Promise<void> {
  await runInDurableObject(stub, (instance) => {
    const database = measureDatabase(
      env.DB,
      (call) => around("D1 of the object", call),
      () => undefined,
    );
    (instance as unknown as { env: Env }).env = { ...env, DB: database };
  });
}

/** The limits at the edge refuse no request here, but what asks them is at work. */
function limitersIn(time: VirtualTime | undefined, usedUp: Set<string> | undefined, bindings: Env): Env {
  if (!time && !usedUp) return bindings;
  const ask = async (name: (typeof edgeLimits)[keyof typeof edgeLimits], options: RateLimitOptions) =>
    usedUp?.has(`${name} ${options.key}`) ? { success: false } : env[name].limit(options);
  const counted = (name: Parameters<typeof ask>[0]): RateLimit => ({
    limit: (options) => (time ? time.during("limit", () => ask(name, options)) : ask(name, options)),
  });
  const names = Object.values(edgeLimits);
  return { ...bindings, ...Object.fromEntries(names.map((name) => [name, counted(name)])) };
}

/** Draws with the library that runs in Node, through the test runner's service binding. */
async function drawPicture({ format, width, height, seed }: PictureSpec): Promise<Uint8Array> {
  const query = new URLSearchParams({ format, width: `${width}`, height: `${height}`, seed: `${seed}` });
  const response = await env.PICTURES.fetch(`http://pictures/?${query}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A task as callers get it. */
export interface ShownTask {
  id: string;
  status: string;
  progress: number;
  results: string[];
  images: { url: string; width: number; height: number; bytes: number; content_type: ImageContentType }[];
  usage: { images: number; credits_held: number; credits_charged: number };
  error: { code: string } | null;
  [field: string]: unknown;
}

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** Submits a generation and expects it to be taken. */
export async function submitTask(gateway: TestGateway, key: string, body: object = {}): Promise<ShownTask> {
  const asked = { model: "wan-2.7-image", prompt: "a lighthouse at dusk", size: "square", ...body };
  const response = await gateway.post("/v1/images/generations", asked, bearer(key));
  if (response.status !== 200) throw new Error(`refused: ${response.status} ${await response.text()}`);
  return (await response.json()) as ShownTask;
}

export async function readTask(gateway: TestGateway, key: string, id: string): Promise<ShownTask> {
  const response = await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) });
  if (response.status !== 200) throw new Error(`not read: ${response.status} ${await response.text()}`);
  return (await response.json()) as ShownTask;
}

/** Advances the clock and ticks until a task has ended, for at most `minutes`. */
export async function finishTask(
  gateway: TestGateway,
  key: string,
  id: string,
  minutes = 10,
): Promise<ShownTask> {
  for (let i = 0; i < minutes * 4; i++) {
    gateway.advance(15_000);
    await gateway.tick();
    const task = await readTask(gateway, key, id);
    if (!["pending", "processing"].includes(task.status)) return task;
  }
  throw new Error(`task ${id} has not ended after ${minutes} minutes`);
}

/** Ends whatever an earlier test of the same file has left open; cron would go on with it. */
export async function clearTasks(): Promise<void> {
  await stopWriting();
  const others = "DELETE FROM leases WHERE name NOT IN ('tick', 'cool_down')";
  const statements = ["DELETE FROM tasks", others, "UPDATE leases SET until_ms = 0"];
  await env.DB.batch(statements.map((statement) => env.DB.prepare(statement)));
}

/** Keys of all stored objects, but for notes of the tenants that were made. */
export async function storedKeys(): Promise<string[]> {
  const { objects } = await env.IMAGES.list();
  return objects.map((object) => object.key).filter((key) => !key.startsWith("restore-notes/_made/"));
}
