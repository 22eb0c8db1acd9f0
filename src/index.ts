/** The Worker: what the platform calls, and nothing else. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { type Api, createApp, createMisconfiguredApp } from "./app.ts";
import { type Config, readConfig } from "./config.ts";
import { consume } from "./flows/cron/consume.ts";
import { sendLane, storeLane } from "./flows/cron/lanes.ts";
import { runTick } from "./flows/cron/tick.ts";
import { deliverLane } from "./flows/webhooks/deliver.ts";
import type { ByteMemory } from "./platform/byte-memory.ts";
import { createInvocation, type Invocation } from "./platform/invocation.ts";
import type { Lanes } from "./platform/lanes.ts";
import { writeLog } from "./platform/log.ts";
import { createRefusalMemory } from "./platform/refusal-memory.ts";

export { Tenant } from "./tenant/object.ts";

/** The lanes. A loop-back call runs each in an invocation of its own, which has its own connections and time. */
export class Lane extends WorkerEntrypoint<Env> implements Lanes {
  send(untilMs: number): Promise<void> {
    return sendLane(this.#invocation(), untilMs);
  }

  store(untilMs: number, leaseUntilMs?: number): Promise<void> {
    return storeLane(this.#invocation(), untilMs, leaseUntilMs);
  }

  deliver(untilMs: number): Promise<void> {
    return deliverLane(this.#invocation(), untilMs);
  }

  #invocation(): Invocation {
    return invocationFor(configOf(this.env), this.env, this.ctx);
  }
}

export default {
  fetch(request, env, ctx) {
    return appOf(env).fetch(request, env, ctx);
  },
  scheduled(_controller, env, ctx) {
    return runTick(invocationFor(configOf(env), env, ctx));
  },
  queue(batch, env, ctx) {
    return consume(invocationFor(configOf(env), env, ctx), batch);
  },
} satisfies ExportedHandler<Env>;

/** Routes and configuration depend on `env` alone, which lives as long as its isolate. */
const apps = new WeakMap<Env, Pick<Api, "fetch">>();

function appOf(env: Env): Pick<Api, "fetch"> {
  let app = apps.get(env);
  if (!app) {
    const read = readConfig(env);
    app =
      "config" in read
        ? createApp(read.config, (ctx) => invocationFor(read.config, env, ctx))
        : createMisconfiguredApp(read.misconfigured, writeLog);
    apps.set(env, app);
  }
  return app;
}

/** What an isolate remembers. */
const memory = {
  refusals: createRefusalMemory(),
  upstreamPause: { untilMs: 0 },
  byteMemory: new Set() as ByteMemory,
};

function configOf(env: Env): Config {
  const read = readConfig(env);
  if ("config" in read) return read.config;
  throw new Error(`misconfigured: ${read.misconfigured.join(", ")}`);
}

function invocationFor(config: Config, env: Env, ctx: ExecutionContext): Invocation {
  const lanes = (ctx.exports as unknown as { Lane: Lanes }).Lane;
  return createInvocation(config, { env, waitUntil: (work) => ctx.waitUntil(work), lanes, ...memory });
}
