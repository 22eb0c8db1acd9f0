/**
 * The size of the built Worker and the cost of its start. A start is the time from giving the script to a workerd of its
 * own until that answers `/healthz`; most of it is workerd's, so the same of an empty Worker with the same bindings is
 * taken off. The two start by turns, so that a machine that slows down slows both, and the fastest start of each counts:
 * whatever else goes on only ever adds to a start, and medians of processes that begin say more of that than of the Worker.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions as readWorkerOptions } from "wrangler";
import { bundle, root, secrets } from "./stage.ts";

export interface Startup {
  /** Of the built script, compressed. */
  gzipBytes: number;
  /** How much longer than an empty Worker it takes to start. */
  startMs: number;
  gatewayMs: number;
  emptyMs: number;
}

/**
 * Starts the built gateway and an empty Worker, one at a time.
 * @param pairs How often each; one more pair goes first and does not count. A pair takes about two seconds.
 */
export async function measureStartup(pairs = 9): Promise<Startup> {
  const gateway = readFileSync(join(root, ".wrangler", "build", "index.js"), "utf8");
  const empty = await bundle("empty");
  const measured: { gatewayMs: number; emptyMs: number }[] = [];
  for (let pair = 0; pair <= pairs; pair++) {
    // Who goes first changes, too.
    const early = pair % 2 === 0 ? await start(gateway) : undefined;
    const emptyMs = await start(empty);
    measured.push({ gatewayMs: early ?? (await start(gateway)), emptyMs });
  }
  const counted = measured.slice(1);
  const gatewayMs = Math.min(...counted.map((pair) => pair.gatewayMs));
  const emptyMs = Math.min(...counted.map((pair) => pair.emptyMs));
  return {
    gzipBytes: gzipSync(gateway).byteLength,
    startMs: gatewayMs - emptyMs,
    gatewayMs,
    emptyMs,
  };
}

/** @returns milliseconds until the script, in a new workerd, has answered. */
async function start(script: string): Promise<number> {
  const { compatibilityDate, ...configured } = readWorkerOptions(join(root, "wrangler.toml")).workerOptions;
  const options = {
    handleStructuredLogs: () => undefined,
    ...configured,
    name: "started",
    compatibilityDate,
    modules: [{ type: "ESModule", path: "index.js", contents: script }],
    assets: undefined,
    serviceBindings: { ASSETS: "started" },
    bindings: { ...(configured.bindings as Record<string, string>), ...secrets },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  };
  const startedMs = performance.now();
  const miniflare = new Miniflare(convertV4MiniflareOptions(options as never));
  try {
    await miniflare.ready;
    const response = await fetch(new URL("/healthz", await miniflare.unsafeGetDirectURL("started")));
    const ms = performance.now() - startedMs;
    if (!response.ok) throw new Error(`/healthz answered ${response.status}: ${await response.text()}`);
    return ms;
  } finally {
    await miniflare.dispose();
  }
}

if (import.meta.main) {
  const { gzipBytes, startMs, gatewayMs, emptyMs } = await measureStartup();
  const [startup, whole, without] = [startMs, gatewayMs, emptyMs].map((ms) => `${Math.round(ms)} ms`);
  console.log(
    `bundle ${gzipBytes} B gzip, start-up ${startup} (${whole} beside ${without} of an empty Worker)`,
  );
}
