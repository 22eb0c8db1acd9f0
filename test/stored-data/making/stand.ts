/**
 * The built Worker that a fixture is made with. All that it calls outside is in this process, under names that stay:
 * the simulated upstream, its file host, Turnstile, and receivers of webhooks that answer as scripted.
 */
import { fileURLToPath } from "node:url";
import { createTestHarness } from "wrangler";
import { createSimulator, type Simulator } from "../../simulator/app.ts";
import { makePicture } from "../../simulator/pictures.ts";
import type { Json } from "../views.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The harness speaks plain HTTP, and the gateway makes its links of what it is asked through. */
export const origin = "http://gateway.example";
const upstreamOrigin = "https://upstream.example";
const filesOrigin = "https://files.upstream.example";

export const secrets = {
  UPSTREAM_API_KEY: "sk-upstream-fixture-key-0123456789abcdef",
  ADMIN_API_KEY: "admin-fixture-key-0123456789abcdef-01234567",
  KEY_SIGNING_SECRET: "signing-fixture-secret-0123456789abcdef-01",
};

/** What a receiver does: a status, or it never answers. */
export type Answer = number | "hangs";

/** As much of the bindings as is used here. */
export interface Bindings {
  DB: {
    prepare(sql: string): {
      bind(...values: unknown[]): { run(): Promise<unknown> };
      all(): Promise<{ results: Record<string, string | number | null>[] }>;
    };
  };
  IMAGES: {
    list(options: object): Promise<{ objects: { key: string }[] }>;
    get(key: string): Promise<{
      arrayBuffer(): Promise<ArrayBuffer>;
      httpMetadata?: Record<string, string>;
      customMetadata?: Record<string, string>;
    } | null>;
    put(key: string, bytes: Uint8Array, options: object): Promise<unknown>;
  };
}

export interface Stand {
  simulator: Simulator;
  bindings: Bindings;
  /** Answers of receivers by origin; 204 from those that are not here. */
  receivers: Map<string, Answer>;
  /** Runs one cron tick of one round. */
  tick(): Promise<void>;
  /** A request to the gateway under its own name. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** A request with a key, for its JSON. @throws when the status is none of the wanted ones. */
  call<T = Json>(key: string, method: string, path: string, options?: CallOptions): Promise<T>;
  admin<T = Json>(method: string, path: string, body?: unknown): Promise<T>;
  /** Runs SQL in D1. */
  sql(text: string, ...values: unknown[]): Promise<Record<string, string | number | null>[]>;
  /** Runs SQL in a tenant's object. */
  objectSql(
    tenant: string,
    text: string,
    ...values: unknown[]
  ): Promise<Record<string, string | number | null>[]>;
  /** Every line that was logged. */
  logs(): string[];
  close(): Promise<void>;
}

export interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
  expect?: number[];
}

/** @param receivers Answers of receivers by origin, changed as the fixture is made. */
export async function startStand(): Promise<Stand> {
  const receivers = new Map<string, Answer>();
  const simulator = createSimulator({
    apiKey: secrets.UPSTREAM_API_KEY,
    picture: makePicture,
    filesOrigin,
    secondsPerImage: 2,
  });
  const restoreFetch = routeFetch(simulator, receivers);
  const vars = {
    UPSTREAM_BASE_URL: upstreamOrigin,
    PUBLIC_BASE_URL: "",
    PUBLIC_IMAGE_BASE_URL: "",
    POLL_ROUND_SECONDS: "0",
    // A picture that is too large is soon made.
    ARCHIVE_MAX_BYTES: "65536",
  };
  const harness = createTestHarness({
    root,
    workers: [{ configPath: "wrangler.toml", prebuiltWorkerDir: ".wrangler/build", secrets, vars }],
  });
  await harness.listen();
  const worker = harness.getWorker<Bindings>();
  await worker.applyD1Migrations("DB" as never);
  const bindings = await worker.getEnv();
  const stand: Stand = {
    simulator,
    bindings,
    receivers,
    async tick() {
      await worker.scheduled({ cron: "* * * * *" });
    },
    fetch: (path, init) => harness.fetch(`${origin}${path}`, init as never) as unknown as Promise<Response>,
    async call(key, method, path, { body, headers = {}, expect = [200, 201, 202, 204] } = {}) {
      const response = await stand.fetch(path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body !== undefined && { "content-type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!expect.includes(response.status)) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === "" ? undefined : JSON.parse(text);
    },
    admin: (method, path, body) => stand.call(secrets.ADMIN_API_KEY, method, `/admin/api${path}`, { body }),
    async sql(text, ...values) {
      if (values.length > 0) {
        await bindings.DB.prepare(text)
          .bind(...values)
          .run();
        return [];
      }
      return (await bindings.DB.prepare(text).all()).results;
    },
    async objectSql(tenant, text, ...values) {
      const storage = await worker.getDurableObjectStorage("TENANTS" as never, { name: tenant });
      return (await storage.exec(text, ...(values as never[]))) as never;
    },
    logs: () => harness.getLogs().map(({ message }) => message),
    async close() {
      await harness.close();
      restoreFetch();
    },
  };
  return stand;
}

/** The harness sends the Worker's outgoing calls through this process's fetch. */
function routeFetch(simulator: Simulator, receivers: Map<string, Answer>): () => void {
  const original = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (!url.hostname.endsWith(".example") && url.hostname !== "challenges.cloudflare.com")
      return original(input, init);
    const { method = "GET", headers, body } = init ?? {};
    const request = new Request(url, {
      method,
      headers,
      body,
      ...(body && { duplex: "half" }),
    } as RequestInit);
    if ([upstreamOrigin, filesOrigin].includes(url.origin)) return simulator.fetch(request);
    if (url.hostname === "challenges.cloudflare.com") return Response.json({ success: true });
    const answer = receivers.get(url.origin) ?? 204;
    return answer === "hangs" ? new Promise(() => undefined) : new Response(null, { status: answer });
  };
  return () => {
    globalThis.fetch = original;
  };
}
