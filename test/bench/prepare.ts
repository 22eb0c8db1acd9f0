/** What has to be there before anything is measured: tenants with keys, tasks, rows and pictures. */
import { createHash, randomBytes, randomFillSync } from "node:crypto";
import { formatId, type IdKind, randomBytesFor } from "../../src/domain/ids.ts";
import { type Stage, secrets } from "./stage.ts";

export interface Prepared {
  gatewayUrl: string;
  bareUrl: string;
  upstreamUrl: string;
  /** The tenant that submits, and its key. */
  tenant: string;
  key: string;
  /** Of the right form, and not this gateway's. */
  forgedKey: string;
  /** Of a tenant that has nothing left of its limit. */
  limitedKey: string;
  runningTask: string;
  finishedTask: string;
  /** Of a bare row. */
  row: string;
  /** 1 MB each. */
  images: string[];
  /** Requests for one image each, of as many tenants. */
  admissions: { path: string; headers: Record<string, string> }[];
}

const imageBytes = 1_048_576;
const tenants = 64;
/** So many are asked for in one round, each once. */
const imagesPerRound = 48;

/** Those that are asked for in a round and in no other. */
export function imagesFor(images: string[], round: number): string[] {
  return images.slice(round * imagesPerRound, (round + 1) * imagesPerRound);
}

type D1 = Awaited<ReturnType<Stage["miniflare"]["getD1Database"]>>;

const newId = (kind: IdKind) => formatId(kind, Date.now(), new Uint8Array(randomBytes(randomBytesFor(kind))));
const unlimited = {
  requests_per_minute: 1_000_000_000,
  images_per_minute: 1_000_000_000,
  concurrent_tasks: 1_000_000_000,
};

/** @param rounds How often everything is measured, warming up included. */
export async function prepare(stage: Stage, rounds: number): Promise<Prepared> {
  const { gatewayUrl, bareUrl, upstreamUrl, miniflare } = stage;
  const admin = (path: string, body: object) =>
    call(`${gatewayUrl}/admin/api${path}`, secrets.ADMIN_API_KEY, body);
  const makeTenant = async (limits: object) => {
    const { id } = (await admin("/tenants", { name: "Bench", limits })) as { id: string };
    const made = (await admin(`/tenants/${id}/keys`, { name: "bench", kind: "secret" })) as {
      id: string;
      key: string;
    };
    return { id, keyId: made.id, key: made.key };
  };
  const submit = async (key: string) =>
    ((await call(`${gatewayUrl}/v1/images/generations`, key, generation)) as { id: string }).id;

  const { id: tenant, key } = await makeTenant(unlimited);
  const limited = await makeTenant({ ...unlimited, images_per_day: 1 });
  await submit(limited.key);
  const admissions = [];
  for (let i = 0; i < tenants; i++) {
    const tenant = await makeTenant(unlimited);
    const hash = createHash("sha256").update(tenant.key).digest("hex");
    admissions.push({ path: `/admissions/${tenant.id}/${tenant.keyId}`, headers: { "x-key-hash": hash } });
  }

  const runningTask = await submit(key);
  const finishedTask = await submit(key);
  const db = await miniflare.getD1Database("DB", "gateway");
  await untilWritten(db, [runningTask, finishedTask]);
  await db
    .prepare("UPDATE tasks SET state = 'completed', open = 0, finished_ms = created_ms + 30000 WHERE id = ?1")
    .bind(finishedTask)
    .run();
  // A reader who may refresh a task would have the upstream asked every few seconds.
  await db
    .prepare("UPDATE tasks SET refreshed_ms = created_ms + 86400000 WHERE id = ?1")
    .bind(runningTask)
    .run();
  const bare = await miniflare.getD1Database("DB", "bare");
  const row = "row-of-the-bench";
  await bare
    .prepare("INSERT INTO bare (id, made_ms, body) VALUES (?1, 0, ?2)")
    .bind(row, JSON.stringify(generation))
    .run();

  const bucket = await miniflare.getR2Bucket("IMAGES", "gateway");
  const bytes = randomFillSync(new Uint8Array(imageBytes));
  const images = Array.from({ length: rounds * imagesPerRound }, () => newId("image"));
  for (const id of images)
    await bucket.put(`images/${id}`, bytes, { httpMetadata: { contentType: "image/png" } });

  const forgedKey = `${key.slice(0, -4)}${key.endsWith("0000") ? "1111" : "0000"}`;
  return {
    gatewayUrl,
    bareUrl,
    upstreamUrl,
    tenant,
    key,
    forgedKey,
    limitedKey: limited.key,
    runningTask,
    finishedTask,
    row,
    images,
    admissions,
  };
}

const generation = { model: "wan-2.7-image", prompt: "a lighthouse at dusk, seen from the sea" };

/** D1 gets a task beside its reply. */
async function untilWritten(db: D1, ids: string[]): Promise<void> {
  const count = "SELECT count(*) AS n FROM tasks WHERE id IN (SELECT value FROM json_each(?1))";
  for (;;) {
    const found = await db.prepare(count).bind(JSON.stringify(ids)).first<{ n: number }>();
    if (found?.n === ids.length) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function call(url: string, key: string, body: object): Promise<unknown> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}
