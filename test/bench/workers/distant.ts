/**
 * The gateway, unchanged, far from what it calls: each call to D1 and to a tenant's object takes as long as is said, on top of
 * what it takes here. `POST /_distance/<object>/<d1>` says how many milliseconds; `POST /_d1/out` and `/_d1/back` have every
 * call to D1 fail, and answer again.
 *
 * Worker, lanes and objects share one isolate here.
 */
import gateway, { Lane as RealLane, Tenant as RealTenant } from "../../../src/index.ts";

const distance = { object: 0, d1: 0 };
let isOut = false;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function far<T>(ms: number, call: () => Promise<T>): Promise<T> {
  if (ms > 0) await pause(ms);
  return call();
}

function callD1<T>(call: () => Promise<T>): Promise<T> {
  return far(distance.d1, () => {
    if (isOut) throw new Error("D1_ERROR: the database is out");
    return call();
  });
}

const bare = new WeakMap<object, D1PreparedStatement>();

function farStatement(statement: D1PreparedStatement): D1PreparedStatement {
  const outer = {
    bind: (...values: unknown[]) => farStatement(statement.bind(...values)),
    all: () => callD1(() => statement.all()),
    run: () => callD1(() => statement.run()),
  } as unknown as D1PreparedStatement;
  bare.set(outer, statement);
  return outer;
}

const farDatabase = (db: D1Database) =>
  ({
    prepare: (query: string) => farStatement(db.prepare(query)),
    batch: (statements: D1PreparedStatement[]) =>
      callD1(() => db.batch(statements.map((one) => bare.get(one) ?? one))),
  }) as unknown as D1Database;

function farObject(stub: object): object {
  return new Proxy(stub, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== "function") return method;
      return (...args: unknown[]) =>
        far(distance.object, () => Reflect.apply(method, target, args) as Promise<unknown>);
    },
  });
}

const made = new WeakMap<Env, Env>();

function farEnv(env: Env): Env {
  const known = made.get(env);
  if (known) return known;
  const TENANTS = {
    getByName: (name: string) => farObject(env.TENANTS.getByName(name)),
  } as unknown as Env["TENANTS"];
  const envFar: Env = { ...env, DB: farDatabase(env.DB), TENANTS };
  made.set(env, envFar);
  return envFar;
}

export class Tenant extends RealTenant {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, { ...env, DB: farDatabase(env.DB) });
  }
}

export class Lane extends RealLane {
  constructor(ctx: ExecutionContext, env: Env) {
    super(ctx, farEnv(env));
  }
}

export default {
  async fetch(request, env, ctx) {
    const [, place, first, second] = new URL(request.url).pathname.split("/");
    if (place === "_distance") Object.assign(distance, { object: Number(first), d1: Number(second) });
    else if (place === "_d1") isOut = first === "out";
    else return gateway.fetch?.(request, farEnv(env), ctx) ?? new Response(null, { status: 500 });
    return Response.json({ ...distance, isOut });
  },
} satisfies ExportedHandler<Env>;
