/**
 * The gateway, unchanged, with every call to the outside counted: its entry, with bindings, fetch, clock and log wrapped.
 * `POST /_counts` answers with what was done since the last one, once all work beside replies is over; `/_tick` runs cron, one round
 * or, with `every`, a round every so many seconds of a minute that passes at once; `/_alarm` runs a tenant's alarm; `/_advance` moves the clock. One operation at a time: all that happens is that operation's.
 *
 * Worker, lanes and objects share one isolate here, so that one record holds what all of them do.
 */
import gateway, { Lane as RealLane, Tenant as RealTenant } from "../../../src/index.ts";
import { type Call, type CallKind, type Counts, hopsOf, nothing } from "../counting.ts";

let calls: Call[] = [];
let cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
let counted: Counts = { ...nothing };
let moment = 0;
/** When the reply was there. */
let repliedAt = Number.POSITIVE_INFINITY;
let aheadMs = 0;
const beside = new Set<Promise<unknown>>();

const realNow = Date.now.bind(Date);
Date.now = () => realNow() + aheadMs;
const realLog = console.log.bind(console);
let rounds = 0;
console.log = (...line: unknown[]) => {
  counted.logLines++;
  const { event, ...fields } = JSON.parse(String(line[0])) as { event: string; rounds?: number };
  if (event === "tick") rounds = fields.rounds ?? 0;
  realLog(...line);
};
/** While a whole tick runs, its pauses pass at once and the clock with them; time limits, which are longer, stay. */
const longestPauseMs = 5_000;
let isFast = false;
const realTimeout = globalThis.setTimeout.bind(globalThis);
globalThis.setTimeout = ((work: () => void, ms = 0) => {
  if (!isFast || ms > longestPauseMs) return realTimeout(work, ms);
  aheadMs += ms;
  return realTimeout(work, 0);
}) as typeof setTimeout;
const realFetch = globalThis.fetch.bind(globalThis);
globalThis.fetch = ((input: RequestInfo, init?: RequestInit) =>
  noted("upstream", String(input), false, () => realFetch(input, init))) as typeof fetch;

async function noted<T>(
  kind: CallKind,
  name: string,
  insideObject: boolean,
  work: () => Promise<T>,
): Promise<T> {
  const call: Call = { kind, name, start: ++moment, end: Number.POSITIVE_INFINITY, insideObject };
  calls.push(call);
  try {
    return await work();
  } finally {
    call.end = ++moment;
  }
}

function countRows({ meta }: D1Result): void {
  counted.d1RowsRead += meta.rows_read;
  counted.d1RowsWritten += meta.rows_written;
}

const bare = new WeakMap<object, D1PreparedStatement>();

function wrapStatement(statement: D1PreparedStatement, query: string, inside: boolean): D1PreparedStatement {
  const run = (method: "all" | "run") => async () => {
    const result = await noted("d1", query, inside, () => statement[method]());
    countRows(result);
    return result;
  };
  const outer = {
    bind: (...values: unknown[]) => wrapStatement(statement.bind(...values), query, inside),
    all: run("all"),
    run: run("run"),
  } as unknown as D1PreparedStatement;
  bare.set(outer, statement);
  return outer;
}

function wrapDatabase(db: D1Database, inside: boolean): D1Database {
  return {
    prepare: (query: string) => wrapStatement(db.prepare(query), query, inside),
    batch: async (statements: D1PreparedStatement[]) => {
      const inner = statements.map((one) => bare.get(one) ?? one);
      const results = await noted("d1", `batch of ${inner.length}`, inside, () => db.batch(inner));
      for (const result of results) countRows(result);
      return results;
    },
  } as unknown as D1Database;
}

const r2Kinds: Partial<Record<string | symbol, CallKind>> = {
  put: "r2Write",
  list: "r2Write",
  createMultipartUpload: "r2Write",
  get: "r2Read",
  head: "r2Read",
  delete: "r2Other",
};

type Method = (...args: unknown[]) => Promise<unknown>;

/** Passes every method's call on, and notes those that have a kind. */
function wrapMethods<T extends object>(
  target: T,
  kindOf: (name: string | symbol) => CallKind | undefined,
): T {
  return new Proxy(target, {
    get(_, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== "function") return value;
      const method: Method = (...args) => Reflect.apply(value as Method, target, args);
      const kind = kindOf(name);
      return kind ? (...args: unknown[]) => noted(kind, String(name), false, () => method(...args)) : method;
    },
  });
}

function wrapQueue(queue: Queue<string>): Queue<string> {
  return {
    sendBatch: (messages: MessageSendRequest<string>[]) => {
      counted.queueMessages += messages.length;
      return noted("queue", "sendBatch", false, () => queue.sendBatch(messages));
    },
  } as unknown as Queue<string>;
}

const wrapped = { worker: new WeakMap<Env, Env>(), object: new WeakMap<Env, Env>() };

function wrapEnv(env: Env, by: keyof typeof wrapped): Env {
  const known = wrapped[by].get(env);
  if (known) return known;
  const made: Env = {
    ...env,
    DB: wrapDatabase(env.DB, by === "object"),
    IMAGES: wrapMethods(env.IMAGES, (name) => r2Kinds[name]),
    TENANTS: {
      getByName: (name: string) => wrapMethods(env.TENANTS.getByName(name), () => "object"),
    } as unknown as Env["TENANTS"],
    WORK: wrapQueue(env.WORK),
  };
  wrapped[by].set(env, made);
  return made;
}

/** Counts what an object's own storage does; its prototypes are the runtime's, so this is done once. */
let isStorageCounted = false;
function countStorage({ storage }: DurableObjectState): void {
  if (isStorageCounted) return;
  isStorageCounted = true;
  const sql = Object.getPrototypeOf(storage.sql) as SqlStorage;
  const { exec } = sql;
  sql.exec = function (this: SqlStorage, query: string, ...values: unknown[]) {
    const cursor = exec.call(this, query, ...values);
    cursors.push(cursor);
    return cursor;
  } as SqlStorage["exec"];
  const whole = Object.getPrototypeOf(storage) as DurableObjectStorage;
  const { setAlarm } = whole;
  whole.setAlarm = function (this: DurableObjectStorage, ...args: Parameters<typeof setAlarm>) {
    counted.objectRowsWritten++;
    return setAlarm.apply(this, args);
  };
}

export class Tenant extends RealTenant {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, wrapEnv(env, "object"));
  }

  /** The alarm, now instead of in two minutes; the platform would call it without being asked. */
  async ring(): Promise<void> {
    await this.alarm();
  }
}

export class Lane extends RealLane {
  constructor(ctx: ExecutionContext, env: Env) {
    super(besideOf(ctx), wrapEnv(env, "worker"));
  }
}

/** Remembers what goes on beside the reply. */
function besideOf(ctx: ExecutionContext): ExecutionContext {
  return new Proxy(ctx, {
    get(_, name) {
      if (name === "waitUntil") {
        return (work: Promise<unknown>) => {
          const done = work.catch(() => undefined).finally(() => beside.delete(done));
          beside.add(done);
          ctx.waitUntil(work);
        };
      }
      const value = Reflect.get(ctx, name) as unknown;
      return typeof value === "function" ? (value as Method).bind(ctx) : value;
    },
  });
}

/** What was done since the last time. */
async function takeCounts(): Promise<Counts> {
  while (beside.size > 0) await Promise.all(beside);
  const of = (kind: CallKind) => calls.filter((call) => call.kind === kind).length;
  const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
  const counts: Counts = {
    ...counted,
    hops: hopsOf(calls, repliedAt),
    d1Calls: of("d1"),
    objectCalls: of("object"),
    objectRowsRead: sum(cursors.map(({ rowsRead }) => rowsRead)),
    objectRowsWritten: counted.objectRowsWritten + sum(cursors.map(({ rowsWritten }) => rowsWritten)),
    r2Writes: of("r2Write"),
    r2Reads: of("r2Read"),
    upstreamCalls: of("upstream"),
    callsAfterReply: calls.filter(({ end }) => end > repliedAt).length,
    d1CallsBeforeReply: calls.filter(({ kind, end }) => kind === "d1" && end <= repliedAt).length,
  };
  calls = [];
  cursors = [];
  counted = { ...nothing };
  repliedAt = Number.POSITIVE_INFINITY;
  return counts;
}

export default {
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    switch (pathname) {
      case "/_counts":
        return Response.json(await takeCounts());
      case "/_advance":
        aheadMs += Number(searchParams.get("ms"));
        return Response.json({ nowMs: Date.now() });
      case "/_tick": {
        const every = searchParams.get("every");
        const given = wrapEnv(env, "worker");
        isFast = every !== null;
        const once = { ...given, ...(every !== null && { POLL_ROUND_SECONDS: every }) };
        await gateway.scheduled({} as ScheduledController, once, besideOf(ctx));
        isFast = false;
        return Response.json({ rounds });
      }
      case "/_alarm": {
        const object = env.TENANTS.getByName(searchParams.get("tenant") ?? "");
        await (object as unknown as { ring(): Promise<void> }).ring();
        return Response.json({});
      }
    }
    const response = await gateway.fetch(request as never, wrapEnv(env, "worker"), besideOf(ctx));
    counted.requests++;
    repliedAt = ++moment;
    return response;
  },
} satisfies ExportedHandler<Env>;
