/** Twenty tenants, a gateway whose platform fails, one whose platform does not, and the clock of both. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { type Chance, chanceOf } from "./chance.ts";
import { drawPrompt, faultyPlatform } from "./chaos-mix.ts";
import { type Around, bearer, startGateway, type TestGateway } from "./gateway.ts";
import { hook, type Received, startWithReceiver } from "./webhook-receiver.ts";

export const startingBalance = 100_000_000;

export interface ChaosTenant {
  id: string;
  key: string;
  keyId: string;
}

export interface ChaosWorld {
  /** For tenants and what is checked afterwards: its platform never fails. */
  sound: TestGateway;
  /** What callers and cron go through. */
  shaken: TestGateway;
  tenants: ChaosTenant[];
  chance: Chance;
  /** Ids that a caller got, with the tenant. */
  accepted: Map<string, string>;
  /** Replies to submissions, by status and code. */
  replies: Map<string, number>;
  /** What tenants' webhooks received, also when they then answered with a failure. */
  received: Received[];
  faults(): number;
  /** The share of calls to bindings that fail. */
  setFaults(share: number): void;
  /** D1 answers no call, nor those of tenants' objects. */
  setDatabaseOut(isOut: boolean): void;
}

export async function startWorld(seed: number, tenants: number): Promise<ChaosWorld> {
  const chance = chanceOf(seed);
  // Longer than cron is away; and hanging calls cost real time.
  const deadline = { TASK_DEADLINE_SECONDS: 7_200, UPSTREAM_TIMEOUT_MS: 500 };
  const vars = { POLL_ROUND_SECONDS: 2, ...deadline };
  let share = 0;
  // Chances of their own, so that what callers do depends on the seed alone.
  const { around: faulty, faults } = faultyPlatform(chanceOf(seed + 1), () => share);
  let isDatabaseOut = false;
  const around: Around = (name, call) => {
    if (isDatabaseOut && name.startsWith("D1")) return Promise.reject(new Error("D1 is out"));
    return faulty(name, call);
  };
  const { gateway: sound, hosts, received, answers } = startWithReceiver({ vars: deadline });
  const shaken = startGateway({ vars, around, beside: sound, hosts });
  const moods = chanceOf(seed + 2);
  answers(() => (share > 0 && moods.happens(0.3) ? moods.pick([500, 301, 404, 429]) : 200));
  const limits = {
    requests_per_minute: null,
    images_per_minute: null,
    concurrent_tasks: null,
    refusals_per_day: null,
  };
  const made: ChaosTenant[] = [];
  for (let i = 0; i < tenants; i++) {
    // Half of them prepaid.
    const balance = i % 2 ? startingBalance : null;
    made.push(await sound.makeTenant({ limits, balance, webhook: { url: hook } }));
  }
  return {
    sound,
    shaken,
    tenants: made,
    chance,
    accepted: new Map(),
    replies: new Map(),
    received,
    faults,
    setFaults(next) {
      share = next;
    },
    setDatabaseOut(isOut) {
      isDatabaseOut = isOut;
    },
  };
}

/** Submits one task as a caller would, and notes what the caller gets. */
export async function submitOne(world: ChaosWorld, prompt = drawPrompt(world.chance)): Promise<void> {
  const { chance, shaken, tenants } = world;
  const tenant = chance.pick(tenants);
  const body = { model: "wan-2.7-image", prompt, n: chance.between(1, 3), size: "square" };
  const key: Record<string, string> = chance.happens(0.5)
    ? { "idempotency-key": `k-${chance.between(1, 1e9)}` }
    : {};
  let reply = await shaken.post("/v1/images/generations", body, { ...bearer(tenant.key), ...key });
  // As clients do: what was not answered is asked again under the same key.
  if (reply.status === 503 && key["idempotency-key"]) {
    reply = await shaken.post("/v1/images/generations", body, { ...bearer(tenant.key), ...key });
  }
  const received = (await reply.json()) as { id?: string; error?: { code: string } };
  const outcome = received.id ? "accepted" : `${reply.status} ${received.error?.code}`;
  world.replies.set(outcome, (world.replies.get(outcome) ?? 0) + 1);
  if (!received.id) return;
  world.accepted.set(received.id, tenant.id);
  // Some change their minds; whether it is too late is the gateway's to say.
  if (chance.happens(0.08)) {
    const path = `/v1/tasks/${received.id}/cancel`;
    const cancelled = await shaken.fetch(path, { method: "POST", headers: bearer(tenant.key) });
    await cancelled.body?.cancel();
  }
}

/** Has an object's open tasks be as those that an object of the version before began: D1 alone has what they are. */
export async function makeOneOlder({ chance, tenants }: ChaosWorld): Promise<void> {
  const { id } = chance.pick(tenants);
  const { results } = await env.DB.prepare("SELECT id FROM tasks WHERE tenant_id = ?1").bind(id).all();
  const ids = JSON.stringify(results.map((row) => row.id));
  await runInDurableObject(objectOf(id), (_object, { storage }) => {
    const older = "UPDATE open_tasks SET record = NULL WHERE task_id IN (SELECT value FROM json_each(?))";
    storage.sql.exec(older, ids);
  });
}

const objectOf = (id: string) => (env.TENANTS as unknown as DurableObjectNamespace).getByName(id);

export async function evictOne({ chance, tenants }: ChaosWorld): Promise<void> {
  await evictDurableObject(objectOf(chance.pick(tenants).id));
}

/** Runs the alarms that are set, as the platform would. */
export async function runAlarms({ tenants }: ChaosWorld): Promise<void> {
  for (const { id } of tenants) await runDurableObjectAlarm(objectOf(id));
}
