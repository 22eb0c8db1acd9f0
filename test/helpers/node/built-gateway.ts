/** The built Worker on workerd, spoken to over HTTP, with the simulator as its upstream. */
import { fileURLToPath } from "node:url";
import { createTestHarness } from "wrangler";
import type { Simulator } from "../../simulator/app.ts";
import { startSimulator } from "../../simulator/server.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export const secrets = {
  UPSTREAM_API_KEY: "sk-upstream-e2e-key-0123456789abcdef",
  ADMIN_API_KEY: "admin-e2e-key-0123456789abcdef-0123456789",
  KEY_SIGNING_SECRET: "signing-e2e-secret-0123456789abcdef-0123",
};

export interface BuiltGateway {
  url: string;
  upstreamUrl: string;
  simulator: Simulator;
  /** Runs one cron tick of one round. */
  tick(): Promise<void>;
  /** Every line that the Worker has logged. */
  logs(): string[];
  bindings(): Promise<{ DB: D1; IMAGES: R2 }>;
  admin(method: string, path: string, body?: object): Promise<Response>;
  makeKey(): Promise<string>;
  close(): Promise<void>;
}

/** As much of the bindings as these tests use. */
interface D1 {
  prepare(sql: string): { all(): Promise<{ results: Record<string, unknown>[] }> };
}
interface R2 {
  list(options: object): Promise<{ objects: { key: string; size: number; customMetadata?: object }[] }>;
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  put(key: string, bytes: Uint8Array): Promise<unknown>;
}

export async function startBuiltGateway(vars: Record<string, string> = {}): Promise<BuiltGateway> {
  const upstream = await startSimulator({ apiKey: secrets.UPSTREAM_API_KEY });
  const restoreFetch = leaveRedirectsAlone();
  const harness = createTestHarness({
    root,
    workers: [
      {
        configPath: "wrangler.toml",
        prebuiltWorkerDir: ".wrangler/build",
        secrets,
        vars: {
          UPSTREAM_BASE_URL: upstream.url,
          // Who has deployed has a domain in `wrangler.toml`, and nothing goes there from here.
          PUBLIC_BASE_URL: "",
          PUBLIC_IMAGE_BASE_URL: "",
          ALLOW_PRIVATE_NETWORK: "true",
          POLL_ROUND_SECONDS: "0",
          ...vars,
        },
      },
    ],
  });
  const { url } = await harness.listen();
  const worker = harness.getWorker<{ DB: D1; IMAGES: R2 }>();
  await worker.applyD1Migrations("DB" as never);
  const gateway: BuiltGateway = {
    url: url.origin,
    upstreamUrl: upstream.url,
    simulator: upstream.simulator,
    async tick() {
      await worker.scheduled({ cron: "* * * * *" });
    },
    logs: () => harness.getLogs().map((entry) => entry.message),
    bindings: () => worker.getEnv(),
    admin: (method, path, body) =>
      fetch(`${url.origin}/admin/api${path}`, {
        method,
        headers: { authorization: `Bearer ${secrets.ADMIN_API_KEY}`, "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      }),
    async makeKey() {
      const tenant = (await (await gateway.admin("POST", "/tenants", { name: "E2E" })).json()) as {
        id: string;
      };
      const made = await gateway.admin("POST", `/tenants/${tenant.id}/keys`, { name: "e2e", kind: "secret" });
      return ((await made.json()) as { key: string }).key;
    },
    async close() {
      await harness.close();
      restoreFetch();
      await upstream.close();
    },
  };
  return gateway;
}

/** The harness sends the Worker's outgoing calls through this process's fetch, which would follow redirects. */
function leaveRedirectsAlone(): () => void {
  const original = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    // The harness hands over a whole Request as `init`, whose fields a spread would lose.
    const { method, headers, body, signal } = init ?? {};
    const copy = { method, headers, body, signal, ...(body && { duplex: "half" }), redirect: "manual" };
    return original(input, copy as RequestInit);
  };
  return () => {
    globalThis.fetch = original;
  };
}

export interface ShownTask {
  id: string;
  status: string;
  progress: number;
  results: string[];
  images: { url: string; width: number; height: number; bytes: number; content_type: string }[];
  error: { code: string; message: string } | null;
}

export function submit(gateway: BuiltGateway, key: string, body: object): Promise<Response> {
  return fetch(`${gateway.url}/v1/images/generations`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "wan-2.7-image", ...body }),
  });
}

export function read(gateway: BuiltGateway, key: string, id: string): Promise<Response> {
  return fetch(`${gateway.url}/v1/tasks/${id}`, { headers: { authorization: `Bearer ${key}` } });
}
