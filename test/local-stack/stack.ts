/**
 * The whole system on one machine: the upstream (simulated, or the real one if its key is given), the Worker
 * under `wrangler dev`, its database and bucket, a cron ticker, and a tenant with a key. `npm run dev` keeps it,
 * `npm run demo` uses it once.
 *
 * `wrangler dev` runs inside this process and not as a child of it: a child that is asked to end leaves its own
 * child, workerd, behind.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { unstable_dev as wranglerDev } from "wrangler";
import { startSimulator } from "../simulator/server.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface StackOptions {
  /** 0: any free one. */
  port: number;
  /** Where database, bucket and local secrets are kept, below `.wrangler`. */
  folder: string;
  /** Shows the Worker's log lines. */
  verbose: boolean;
  /** The folder goes with the process. */
  temporary?: boolean;
  /** Called before each step. */
  onStep: (step: string) => void;
}

export interface Stack {
  url: string;
  /** The simulator's, or the real upstream's. */
  upstreamUrl: string;
  simulated: boolean;
  adminKey: string;
  tenantId: string;
  key: string;
  /** Ends everything that was started. Safe to call twice. */
  close(): Promise<void>;
}

export async function startStack(options: StackOptions): Promise<Stack> {
  readDevVars();
  const simulated = !process.env.UPSTREAM_API_KEY;
  // A folder for each upstream: a task that waits for the simulator must never be sent for real money.
  const folder = join(root, ".wrangler", simulated ? options.folder : `${options.folder}-real`);
  await expectFree(options.port);
  mkdirSync(folder, { recursive: true });
  const closers: (() => Promise<void>)[] = [];
  // At the very end: wrangler's own handler of a signal leaves no time for anything that waits.
  if (options.temporary) process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const close = async () => {
    for (let end = closers.pop(); end; end = closers.pop()) await end();
  };
  try {
    options.onStep(simulated ? "starting the simulated upstream" : "using the real upstream");
    const upstreamUrl = simulated ? await startUpstream(closers) : realUpstreamUrl();
    const adminKey = makeUpSecrets(folder);
    options.onStep("creating the database's tables");
    await migrate(folder);
    options.onStep("starting the gateway");
    const url = await startWorker(options, folder, upstreamUrl, closers);
    closers.push(startTicker(url));
    options.onStep("making a tenant and a key");
    const tenantId = "demo";
    const key = await keepKey(folder, url, adminKey, tenantId);
    return { url, upstreamUrl, simulated, adminKey, tenantId, key, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Values of `.dev.vars` count as if they were in the environment, which is where wrangler looks for secrets. */
function readDevVars(): void {
  const file = join(root, ".dev.vars");
  if (!existsSync(file)) return;
  for (const [name, value] of Object.entries(parseEnv(readFileSync(file, "utf8"))))
    process.env[name] ??= value;
}

async function startUpstream(closers: (() => Promise<void>)[]): Promise<string> {
  const apiKey = "simulated-upstream-key";
  process.env.UPSTREAM_API_KEY = apiKey;
  const simulator = await startSimulator({ apiKey });
  closers.push(() => simulator.close());
  return simulator.url;
}

function realUpstreamUrl(): string {
  return process.env.UPSTREAM_BASE_URL || "https://api.evolink.ai";
}

/** Secrets that were not given: made up once and kept, so that keys survive a restart. */
function makeUpSecrets(folder: string): string {
  const file = join(folder, "secrets.env");
  const kept = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  for (const name of ["ADMIN_API_KEY", "KEY_SIGNING_SECRET"]) {
    kept[name] ??= `local-${randomBytes(24).toString("base64url")}`;
    process.env[name] ??= kept[name];
  }
  const lines = Object.entries(kept).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, lines.join(""), { mode: 0o600 });
  return process.env.ADMIN_API_KEY ?? "";
}

async function migrate(folder: string): Promise<void> {
  const script = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
  const args = [script, "d1", "migrations", "apply", "DB", "--local", "--persist-to", folder];
  // `CI` answers its question with yes.
  const child = spawn(process.execPath, args, { cwd: root, env: { ...process.env, CI: "true" } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`the tables could not be created:\n${output}`);
}

/** Who has deployed has a domain in `wrangler.toml`; here is nothing but this machine, unless the environment says so. */
const local = { PUBLIC_BASE_URL: "", PUBLIC_IMAGE_BASE_URL: "", ALLOW_PRIVATE_NETWORK: "true" };

async function startWorker(
  { port, verbose }: StackOptions,
  folder: string,
  upstreamUrl: string,
  closers: (() => Promise<void>)[],
): Promise<string> {
  process.chdir(root);
  // Neither is any use on a machine that may be offline.
  process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false";
  process.env.WRANGLER_SEND_METRICS = "false";
  const worker = await wranglerDev("src/index.ts", {
    config: "wrangler.toml",
    ip: "127.0.0.1",
    port,
    inspectorPort: 0,
    persistTo: folder,
    logLevel: verbose ? "log" : "error",
    // The secrets are in the environment. Where there is a `.dev.vars`, wrangler would look there alone.
    envFiles: [join(folder, "secrets.env")],
    vars: { ...local, ...givenValues(), UPSTREAM_BASE_URL: upstreamUrl },
    experimental: { disableExperimentalWarning: true, showInteractiveDevSession: false, watch: verbose },
  });
  closers.push(() => worker.stop());
  return `http://127.0.0.1:${worker.port}`;
}

/**
 * Values of the environment that have to be given to wrangler: the optional secrets, and what stands in `local`. It takes from
 * there by itself what `wrangler.toml` names under `[secrets] required` and `[vars]`.
 */
function givenValues(): Record<string, string> {
  const names = ["ADMIN_READ_KEY", "KEY_SIGNING_SECRET_PREVIOUS", ...Object.keys(local)];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value ? [[name, value]] : [];
    }),
  );
}

/** Wrangler would wait for ever for a port that is taken. */
async function expectFree(port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", () =>
      reject(new Error(`port ${port} is taken; choose another: PORT=8788 npm run dev`)),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

/** Locally no cron fires by itself: does it now, and at each full minute. */
function startTicker(url: string): () => Promise<void> {
  const stop = new AbortController();
  let timer: NodeJS.Timeout;
  const tick = () => {
    timer = setTimeout(tick, 60_000 - (Date.now() % 60_000));
    fetch(`${url}/cdn-cgi/local/scheduled?cron=*+*+*+*+*`, { signal: stop.signal }).catch(
      (error: unknown) => {
        if (!stop.signal.aborted) console.error("the cron tick failed:", error);
      },
    );
  };
  tick();
  return async () => {
    clearTimeout(timer);
    stop.abort();
  };
}

/** The key of the last run if it still works, so that what was pasted somewhere stays true; else a new one. */
async function keepKey(folder: string, url: string, adminKey: string, tenantId: string): Promise<string> {
  const file = join(folder, "tenant.key");
  if (existsSync(file)) {
    const kept = readFileSync(file, "utf8").trim();
    const response = await fetch(`${url}/v1/tasks/none`, { headers: { authorization: `Bearer ${kept}` } });
    await response.body?.cancel();
    if (response.status === 404) return kept;
  }
  const key = await makeKey(url, adminKey, tenantId);
  writeFileSync(file, `${key}\n`, { mode: 0o600 });
  return key;
}

/** Makes the tenant if it is not there, and a new key; earlier ones of this kind are revoked. */
async function makeKey(url: string, adminKey: string, tenantId: string): Promise<string> {
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${url}/admin/api/tenants${path}`, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    const reply = response.status === 204 ? {} : ((await response.json()) as Record<string, unknown>);
    if (!response.ok && response.status !== 409)
      throw new Error(`${method} ${path}: ${JSON.stringify(reply)}`);
    return reply;
  };
  // The page's visitors have a tenth of them, which is what someone who tries things out has.
  const limits = { concurrent_tasks: 200, images_per_minute: 600 };
  await call("POST", "", { id: tenantId, name: "Demo", limits });
  const name = "local";
  const { data } = (await call("GET", `/${tenantId}/keys?limit=100`)) as {
    data: { id: string; name: string; revoked_at: number | null }[];
  };
  for (const old of data.filter((key) => key.name === name && key.revoked_at === null)) {
    await call("DELETE", `/${tenantId}/keys/${old.id}`);
  }
  const { key } = await call("POST", `/${tenantId}/keys`, { name, kind: "secret" });
  return String(key);
}
