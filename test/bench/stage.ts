/**
 * The built Worker on workerd, called through sockets of its own, beside bare Workers in the same process and one
 * upstream for all of them. It runs in a process apart from the one that makes the load, and reads what the Workers log,
 * as a caller must.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import {
  unstable_getMiniflareWorkerOptions as readWorkerOptions,
  unstable_splitSqlQuery as splitSql,
} from "wrangler";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export const secrets = {
  UPSTREAM_API_KEY: "sk-upstream-bench-key-0123456789abcdef",
  ADMIN_API_KEY: "admin-bench-key-0123456789abcdef-0123456789",
  KEY_SIGNING_SECRET: "signing-bench-secret-0123456789abcdef-0123",
};

// Wrangler would say that the secrets are missing, which are given below.
process.env.WRANGLER_LOG ??= "error";

const upstreamUrl = "http://upstream.example";
const sockets = [{ host: "127.0.0.1", port: 0 }];

export interface Stage {
  gatewayUrl: string;
  bareUrl: string;
  upstreamUrl: string;
  miniflare: Miniflare;
  /** Lines that the gateway has logged of an event, from now on. */
  listen(event: string): Record<string, unknown>[];
}

const unlimited = { limit: 1_000_000_000, period: 60 };

/**
 * @param folder Where its database, bucket and objects are.
 * @param gateway The script of the gateway: the built one, or one that counts.
 */
export async function startStage(folder: string, gateway: string): Promise<Stage> {
  const { compatibilityDate = "", ...configured } = readWorkerOptions(
    join(root, "wrangler.toml"),
  ).workerOptions;
  const heard = new Map<string, Record<string, unknown>[]>();
  const shared = { compatibilityDate, modules: true as const, outboundService: "upstream" };
  const options = {
    handleStructuredLogs: ({ message }: { message: string }) => {
      // Reading them costs; only what has a listener is read.
      for (const [event, lines] of heard) {
        if (message.startsWith(`{"event":"${event}"`))
          lines.push(JSON.parse(message) as Record<string, unknown>);
      }
    },
    d1Persist: join(folder, "d1"),
    durableObjectsPersist: join(folder, "objects"),
    r2Persist: join(folder, "r2"),
    workers: [
      {
        ...shared,
        ...configured,
        name: "gateway",
        modules: [{ type: "ESModule", path: "index.js", contents: gateway }],
        assets: undefined,
        // A queue has one consumer, and several stages may stand side by side.
        queueConsumers: undefined,
        serviceBindings: { ASSETS: "bare" },
        // One key reads as often as it can.
        ratelimits: Object.fromEntries(
          Object.entries(configured.ratelimits ?? {}).map(([name, one]) => [
            name,
            { ...one, simple: unlimited },
          ]),
        ),
        bindings: {
          ...(configured.bindings as Record<string, string>),
          ...secrets,
          UPSTREAM_BASE_URL: upstreamUrl,
          LOG_READS: "1",
          TENANT_CALLS_PER_MINUTE: String(unlimited.limit),
          FOLLOWERS_PER_TASK: "10000",
          // Who has deployed has a domain in `wrangler.toml`, and nothing goes there from here.
          PUBLIC_BASE_URL: "",
          PUBLIC_IMAGE_BASE_URL: "",
          ALLOW_PRIVATE_NETWORK: "true",
          POLL_ROUND_SECONDS: "0",
        },
        unsafeDirectSockets: sockets,
      },
      {
        ...shared,
        name: "bare",
        script: await bundle("bare"),
        bindings: { ...secrets, UPSTREAM_BASE_URL: upstreamUrl },
        d1Databases: { DB: "bare" },
        r2Buckets: configured.r2Buckets,
        durableObjects: { TENANTS: { className: "Tenant", scriptName: "gateway", useSQLite: true } },
        unsafeDirectSockets: sockets,
      },
      {
        name: "upstream",
        compatibilityDate,
        modules: true as const,
        script: await bundle("upstream"),
        unsafeDirectSockets: sockets,
      },
    ],
  };
  const miniflare = new Miniflare(convertV4MiniflareOptions(options as never));
  await miniflare.ready;
  await makeTables(miniflare);
  const urlOf = async (worker: string) => (await miniflare.unsafeGetDirectURL(worker)).origin;
  return {
    gatewayUrl: await urlOf("gateway"),
    bareUrl: await urlOf("bare"),
    upstreamUrl: await urlOf("upstream"),
    miniflare,
    listen(event) {
      const lines = heard.get(event) ?? [];
      heard.set(event, lines);
      return lines;
    },
  };
}

/** The gateway in one of the Workers of `workers` that wrap it, as one script. */
export async function bundleGateway(worker: string): Promise<string> {
  const built = await build({
    entryPoints: [join(root, "test", "bench", "workers", `${worker}.ts`)],
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
    external: ["cloudflare:*"],
    // As wrangler.toml has it; esbuild's own alias would take `zod/v4` along.
    plugins: [
      {
        name: "alias",
        setup: ({ onResolve }) =>
          onResolve({ filter: /^zod$/ }, () => ({ path: join(root, "src", "zod.ts") })),
      },
    ],
  });
  return built.outputFiles[0]?.text ?? "";
}

/** A Worker of `workers`, as one script. */
export async function bundle(worker: string): Promise<string> {
  const entry = join(root, "test", "bench", "workers", `${worker}.ts`);
  const built = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
  });
  return built.outputFiles[0]?.text ?? "";
}

async function makeTables(miniflare: Miniflare): Promise<void> {
  const migrations = join(root, "src", "d1", "migrations");
  const gateway = await miniflare.getD1Database("DB", "gateway");
  for (const file of readdirSync(migrations).sort()) {
    for (const statement of splitSql(readFileSync(join(migrations, file), "utf8")))
      await gateway.prepare(statement).run();
  }
  // As wrangler notes them.
  await gateway.prepare("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY, name TEXT)").run();
  for (const file of readdirSync(migrations))
    await gateway.prepare("INSERT INTO d1_migrations (name) VALUES (?1)").bind(file).run();
  const bare = await miniflare.getD1Database("DB", "bare");
  await bare
    .prepare("CREATE TABLE bare (id TEXT PRIMARY KEY, made_ms INTEGER NOT NULL, body TEXT NOT NULL)")
    .run();
  await bare.prepare("CREATE INDEX bare_made ON bare (made_ms)").run();
}
