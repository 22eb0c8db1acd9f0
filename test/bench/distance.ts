/** What a submission, a read and a wait take where D1 and the tenants' objects are far, and what D1's absence does to them. */

import type { Comparison } from "./cases.ts";
import { type Compared, compare, type Effort } from "./compare.ts";
import { countReplies } from "./load.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { bundleGateway, type Stage, startStage } from "./stage.ts";

interface Distance {
  name: string;
  /** Milliseconds of a call to a tenant's object, and of one to D1. */
  objectMs: number;
  d1Ms: number;
}

const distances: Distance[] = [
  { name: "same region", objectMs: 5, d1Ms: 15 },
  { name: "D1 a continent away", objectMs: 5, d1Ms: 150 },
  { name: "caller far from both", objectMs: 150, d1Ms: 150 },
];

const upstreamMs = 250;
const connections = 16;
const headersOf = (key: string) => ({ authorization: `Bearer ${key}`, "content-type": "application/json" });
const submission = (url: string, key: string) => ({
  url: `${url}/v1/images/generations`,
  method: "POST" as const,
  headers: headersOf(key),
  body: JSON.stringify({ model: "wan-2.7-image", prompt: "a lighthouse at dusk, seen from the sea" }),
  connections,
  status: 200,
});

/** Where the object is near, a submission takes as long as its upstream, wherever D1 is. */
const targetOf = ({ objectMs }: Distance) => (objectMs < 50 ? { p50Ms: { atMost: 1.08 } } : {});

function casesAt(distance: Distance, { gatewayUrl, bareUrl, key, runningTask }: Prepared): Comparison[] {
  const passThrough = { name: "pass-through", load: () => submission(bareUrl, key) };
  const reading = (query: string) => () => ({
    url: `${gatewayUrl}/v1/tasks/${runningTask}${query}`,
    headers: headersOf(key),
    connections,
    status: 200,
  });
  return [
    {
      name: `submit, ${distance.name}`,
      measures: ["p50Ms"],
      upstreamMs,
      gateway: () => submission(gatewayUrl, key),
      references: [{ ...passThrough, targets: targetOf(distance) }],
    },
    {
      name: `read, ${distance.name}`,
      measures: ["p50Ms"],
      gateway: reading(""),
      references: [],
    },
    {
      name: `wait a second, ${distance.name}`,
      measures: ["p50Ms"],
      gateway: reading("?wait=1"),
      references: [],
    },
  ];
}

/** Submissions while D1 is out. */
export interface Outage {
  seconds: number;
  accepted: number;
  errors: number;
  /** Accepted, and not in D1 once that is back. */
  lost: number;
  /** How long D1 took to get them all, once it was back. */
  caughtUpMs: number;
}

async function measureOutage(stage: Stage, { gatewayUrl, key }: Prepared, seconds: number): Promise<Outage> {
  const db = await stage.miniflare.getD1Database("DB", "gateway");
  const count = async () =>
    (await db.prepare("SELECT count(*) AS n FROM tasks").first<{ n: number }>())?.n ?? 0;
  const before = await count();
  await fetch(`${gatewayUrl}/_d1/out`, { method: "POST" });
  const during = await countReplies(submission(gatewayUrl, key), seconds);
  await fetch(`${gatewayUrl}/_d1/back`, { method: "POST" });
  const backMs = Date.now();
  const after = await countReplies(submission(gatewayUrl, key), 2);
  const accepted = during.accepted + after.accepted;
  const missing = async () => before + accepted - (await count());
  while ((await missing()) > 0 && Date.now() - backMs < 60_000)
    await new Promise((resolve) => setTimeout(resolve, 100));
  return {
    seconds,
    accepted,
    errors: during.errors + after.errors,
    lost: Math.max(0, await missing()),
    caughtUpMs: Date.now() - backMs,
  };
}

/** @param outageSeconds How long D1 is out, under load. */
export async function measureDistances(
  folder: string,
  effort: Effort,
  outageSeconds: number,
): Promise<{ far: Compared[]; outage: Outage }> {
  const stage = await startStage(folder, await bundleGateway("distant"));
  const prepared = await prepare(stage, 0);
  const far: Compared[] = [];
  for (const distance of distances) {
    const { objectMs, d1Ms } = distance;
    await fetch(`${prepared.gatewayUrl}/_distance/${objectMs}/${d1Ms}`, { method: "POST" });
    for (const one of casesAt(distance, prepared))
      far.push(...(await compare(one, prepared, effort, () => undefined)));
  }
  await fetch(`${prepared.gatewayUrl}/_distance/5/15`, { method: "POST" });
  await fetch(`${prepared.upstreamUrl}/_pause/${upstreamMs}`, { method: "POST" });
  const outage = await measureOutage(stage, prepared, outageSeconds);
  await stage.miniflare.dispose();
  return { far, outage };
}
