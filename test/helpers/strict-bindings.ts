/** The bindings as one event has them: each call is counted, and held against the platform's limits. */
import type { PlatformEvent } from "./platform-event.ts";

const bytesOf = (value: unknown): number =>
  typeof value === "string"
    ? new TextEncoder().encode(value).length
    : value instanceof ArrayBuffer || ArrayBuffer.isView(value)
      ? value.byteLength
      : 8;

export function strictDatabase(db: D1Database, event: PlatformEvent): D1Database {
  const inner = new WeakMap<object, D1PreparedStatement>();
  const called = (statements: number, name: string) => {
    event.count("subrequests", 1, name);
    event.count("queries", statements, name);
  };
  const wrap = (statement: D1PreparedStatement, query: string): D1PreparedStatement => {
    const name = `D1: ${query.replaceAll(/\s+/g, " ").slice(0, 60)}`;
    const outer = {
      bind(...values: unknown[]) {
        event.check("parameters", values.length, name);
        for (const value of values) event.check("valueBytes", bytesOf(value), name);
        return wrap(statement.bind(...values), query);
      },
      async all<T>() {
        called(1, name);
        return statement.all<T>();
      },
      async run<T>() {
        called(1, name);
        return statement.run<T>();
      },
    } as D1PreparedStatement;
    inner.set(outer, statement);
    return outer;
  };
  return {
    prepare(query: string) {
      event.check("statementBytes", bytesOf(query), "D1");
      return wrap(db.prepare(query), query);
    },
    async batch<T>(statements: D1PreparedStatement[]) {
      called(statements.length, "D1: a batch");
      return db.batch<T>(statements.map((outer) => inner.get(outer) ?? outer));
    },
  } as D1Database;
}

export function strictBucket(bucket: R2Bucket, event: PlatformEvent): R2Bucket {
  return {
    put: (...args: Parameters<R2Bucket["put"]>) => event.connect("R2 put", () => bucket.put(...args)),
    get: (...args: Parameters<R2Bucket["get"]>) => event.connect("R2 get", () => bucket.get(...args)),
    head: (key: string) => event.connect("R2 head", () => bucket.head(key)),
    list: (options?: R2ListOptions) => event.connect("R2 list", () => bucket.list(options)),
    async delete(keys: string | string[]) {
      event.check("deletedKeys", [keys].flat().length, "R2 delete");
      return event.connect("R2 delete", () => bucket.delete(keys));
    },
  } as R2Bucket;
}

export function strictQueue(queue: Queue<string>, event: PlatformEvent): Queue<string> {
  return {
    async sendBatch(messages: Iterable<MessageSendRequest<string>>) {
      const all = [...messages];
      const sizes = all.map(({ body }) => bytesOf(JSON.stringify(body)));
      event.check("batchMessages", all.length, "Queue");
      for (const size of sizes) event.check("messageBytes", size, "Queue");
      event.check(
        "batchBytes",
        sizes.reduce((sum, size) => sum + size, 0),
        "Queue",
      );
      return event.connect("Queue", () => queue.sendBatch(all));
    },
  } as Queue<string>;
}

type StrictCache = Pick<Cache, "match" | "put" | "delete">;

export function strictCache(cache: StrictCache, event: PlatformEvent): StrictCache {
  return {
    match: (request, options) => event.connect("cache match", () => cache.match(request, options)),
    put: (request, response) => event.connect("cache put", () => cache.put(request, response)),
    delete: (request, options) => event.connect("cache delete", () => cache.delete(request, options)),
  };
}

/** An object is an event of its own, and takes none of its caller's connections. */
export function strictTenants(tenants: Env["TENANTS"], event: PlatformEvent): Env["TENANTS"] {
  return {
    getByName(name: string, options?: DurableObjectNamespaceGetDurableObjectOptions) {
      event.count("subrequests", 1, "object");
      return tenants.getByName(name, options);
    },
  } as unknown as Env["TENANTS"];
}

/** The bindings of `env` for one event. */
export function strictEnv(env: Env, event: PlatformEvent): Env {
  return {
    ...env,
    DB: strictDatabase(env.DB, event),
    IMAGES: strictBucket(env.IMAGES, event),
    TENANTS: strictTenants(env.TENANTS, event),
    ...(env.WORK && { WORK: strictQueue(env.WORK, event) }),
  };
}
