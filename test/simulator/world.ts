/** All that one simulator remembers, and its clock. */
import { createRulebook, type Rulebook } from "./rulebook.ts";
import type { Submission } from "./submission.ts";
import { doneAtMs, type SimulatedTask, stateOf } from "./tasks.ts";

const MAX_CALLS = 10_000;
const MAX_TASKS = 100_000;

/** Makes the bytes of a result; given from outside, because Node and workerd have no way of drawing in common. */
export interface PictureSpec {
  format: "png" | "jpeg" | "webp";
  width: number;
  height: number;
  seed: number;
}

export interface SimulatorOptions {
  apiKey: string;
  picture: (spec: PictureSpec) => Promise<Uint8Array>;
  /** Default: Date.now. The simulator's clock is this plus what was advanced. */
  now?: () => number;
  /** Origin of result links. Default: that of the submit. */
  filesOrigin?: string;
  /** How long a task takes, whatever its `n`. Default: 8. */
  secondsPerImage?: number;
}

export interface Call {
  method: string;
  origin: string;
  /** With the query. */
  path: string;
  headers: Record<string, string>;
  /** `hang`: nothing was answered, so far or until the caller left. */
  status: number | "reset" | "hang";
  /** Milliseconds, by the simulator's clock; so are the times of a task. */
  at: number;
  /** For pictures: what went out, and whether it came to an end, broke off, or the caller stopped reading. */
  sentBytes: number;
  body: "none" | "sending" | "sent" | "broken" | "stopped";
}

export interface TaskReport {
  id: string;
  idempotencyKey: string | null;
  body: Submission;
  state: string;
  createdAt: number;
  doneAt: number;
  reads: number;
}

export interface World {
  readonly apiKey: string;
  readonly picture: SimulatorOptions["picture"];
  readonly filesOrigin: string | undefined;
  readonly defaultSeconds: number;
  rules: Rulebook;
  now(): number;
  advance(ms: number): number;
  addTask(task: SimulatedTask): void;
  taskById(id: string): SimulatedTask | undefined;
  taskByKey(idempotencyKey: string): SimulatedTask | undefined;
  openCall(request: Request): Call;
  calls(): Call[];
  tasks(): TaskReport[];
  reset(): void;
}

export function createWorld(options: SimulatorOptions): World {
  const realNow = options.now ?? Date.now;
  const calls: Call[] = [];
  const tasks = new Map<string, SimulatedTask>();
  const keys = new Map<string, SimulatedTask>();
  let offsetMs = 0;

  const world: World = {
    apiKey: options.apiKey,
    picture: options.picture,
    filesOrigin: options.filesOrigin,
    defaultSeconds: options.secondsPerImage ?? 8,
    rules: createRulebook(),
    now: () => realNow() + offsetMs,
    advance(ms) {
      if (!Number.isFinite(ms) || ms < 0) throw new RangeError("the clock moves forward only");
      offsetMs += ms;
      return world.now();
    },
    addTask(task) {
      if (tasks.size >= MAX_TASKS) dropOldest(tasks, keys);
      tasks.set(task.id, task);
      if (task.idempotencyKey !== undefined) keys.set(task.idempotencyKey, task);
    },
    taskById: (id) => tasks.get(id),
    taskByKey: (key) => keys.get(key),
    openCall(request) {
      if (calls.length >= MAX_CALLS) calls.shift();
      const call = callOf(request, world.now());
      calls.push(call);
      return call;
    },
    calls: () => structuredClone(calls),
    tasks: () => [...tasks.values()].map((task) => reportOf(task, world.now())),
    reset() {
      offsetMs = 0;
      calls.length = 0;
      tasks.clear();
      keys.clear();
      world.rules = createRulebook();
    },
  };
  return world;
}

function dropOldest(tasks: Map<string, SimulatedTask>, keys: Map<string, SimulatedTask>): void {
  const [oldest] = tasks.values();
  if (oldest === undefined) return;
  tasks.delete(oldest.id);
  if (oldest.idempotencyKey !== undefined) keys.delete(oldest.idempotencyKey);
}

function callOf(request: Request, nowMs: number): Call {
  const url = new URL(request.url);
  return {
    method: request.method,
    origin: url.origin,
    path: url.pathname + url.search,
    headers: Object.fromEntries(request.headers),
    status: "hang",
    at: nowMs,
    sentBytes: 0,
    body: "none",
  };
}

function reportOf(task: SimulatedTask, nowMs: number): TaskReport {
  return {
    id: task.id,
    idempotencyKey: task.idempotencyKey ?? null,
    body: task.submission,
    state: stateOf(task, nowMs).status,
    createdAt: task.createdMs,
    doneAt: doneAtMs(task),
    reads: task.reads,
  };
}
