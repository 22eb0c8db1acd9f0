/** The built Worker on workerd, spoken to over HTTP, with the simulator as its upstream. */
import { fileURLToPath } from "node:url";
import { createTestHarness } from "wrangler";
import type { Simulator } from "../../simulator/app.ts";
import { startSimulator } from "../../simulator/server.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export const secrets = {
  UPSTREAM_API_KEY: "sk-upstream-e2e-key-0123456789abcdef",
  ADMIN_API_KEY: "admin-e2e-key-0123456789abcdef-0123456789",
  ADMIN_READ_KEY: "read-e2e-key-0123456789abcdef-0123456789",
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
  delete(keys: string[]): Promise<void>;
}

/** A gateway that can be had anew: as just started, its tenants' objects aside. */
interface ReusableGateway extends BuiltGateway {
  startAnew(): Promise<void>;
}

/**
 * D1 gets a task beside its reply, and what the upstream's reply showed of it: waits until it has that of the tasks that the
 * upstream has. Those that the upstream has made at once are to be stored by then.
 * @param known Ids that were waited for before; some never come, as of a request that broke off.
 */
async function untilWritten(db: D1, { control }: Simulator, known: Set<string>): Promise<void> {
  const tasks = control
    .tasks()
    .flatMap(({ idempotencyKey: id, createdAt, doneAt }) =>
      id === null || known.has(id) ? [] : [{ id, isMade: createdAt === doneAt }],
    );
  for (const { id } of tasks) known.add(id);
  if (tasks.length === 0) return;
  const listed = (some: typeof tasks) => some.map(({ id }) => `'${id}'`).join(", ");
  const made = tasks.filter(({ isMade }) => isMade);
  const count = `SELECT count(*) FILTER (WHERE id IN (${listed(tasks)})) AS written,
      count(*) FILTER (WHERE id IN (${listed(made)}) AND state IN ('submitting', 'submitted')) AS behind FROM tasks`;
  const endMs = Date.now() + 3_000;
  while (Date.now() < endMs) {
    const { results } = await db.prepare(count).all();
    if (results[0]?.written === tasks.length && results[0].behind === 0) return;
  }
}

/** Tenants' objects write again what D1 has lost of their open tasks. */
async function failOpenTasks(gateway: BuiltGateway, db: D1): Promise<void> {
  const { results } = await db
    .prepare("SELECT id FROM tasks WHERE open = 1 AND hold_number IS NOT NULL LIMIT 500")
    .all();
  await Promise.all(results.map(({ id }) => gateway.admin("POST", `/tasks/${id}/fail`)));
}

/** One for all files of a process: to start it takes longer than most of them do. It ends with the process. */
let shared: Promise<ReusableGateway> | undefined;

/**
 * The gateway that files share, with nothing in D1, in R2, in its log and upstream. Tenants' objects keep what they
 * have: no two files may give a tenant the same id.
 */
export async function startBuiltGateway(): Promise<BuiltGateway> {
  // One after the other, also behind a file that has given up waiting.
  const before = shared ?? startOwnGateway();
  shared = before.then(async (gateway) => {
    await gateway.startAnew();
    return gateway;
  });
  return { ...(await shared), close: async () => undefined };
}

/** A gateway that nothing else uses. */
export async function startOwnGateway(): Promise<ReusableGateway> {
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
          MODEL_ALIASES: '{"gpt-image-1":"wan-2.7-image"}',
        },
      },
    ],
  });
  const { url } = await harness.listen();
  const worker = harness.getWorker<{ DB: D1; IMAGES: R2 }>();
  await worker.applyD1Migrations("DB" as never);
  const waitedFor = new Set<string>();
  const gateway: ReusableGateway = {
    url: url.origin,
    upstreamUrl: upstream.url,
    simulator: upstream.simulator,
    async tick() {
      await untilWritten((await worker.getEnv()).DB, upstream.simulator, waitedFor);
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
    async startAnew() {
      const { DB, IMAGES } = await worker.getEnv();
      await failOpenTasks(gateway, DB);
      await dropTables(DB);
      await worker.applyD1Migrations("DB" as never);
      await emptyBucket(IMAGES);
      upstream.simulator.control.reset();
      harness.clearLogs();
    },
    async close() {
      await harness.close();
      restoreFetch();
      await upstream.close();
    },
  };
  return gateway;
}

async function dropTables(db: D1): Promise<void> {
  const own =
    "type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE '!_cf!_%' ESCAPE '!'";
  const { results } = await db
    .prepare(`SELECT type, name FROM sqlite_master WHERE ${own} ORDER BY type DESC`)
    .all();
  for (const { type, name } of results) await db.prepare(`DROP ${type} "${name}"`).all();
}

async function emptyBucket(bucket: R2): Promise<void> {
  for (;;) {
    const { objects } = await bucket.list({});
    if (objects.length === 0) return;
    await bucket.delete(objects.map(({ key }) => key));
  }
}

/** The harness sends the Worker's outgoing calls through this process's fetch, which would follow redirects. */
function leaveRedirectsAlone(): () => void {
  const original = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    // The harness passes a whole Request as `init`, whose fields a spread would lose. The others are the tests' own.
    if (init === undefined || Object.getPrototypeOf(init) === Object.prototype) return original(input, init);
    const { method, headers, body, signal } = init;
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
