import { beyond, type Counts, sumOf } from "./counting.ts";
import { bundleGateway, type Stage, secrets, startStage } from "./stage.ts";

/** What each operation costs. `tick`: one round of cron, with its maintenance. */
export interface Life {
  /** By a tenant that has submitted before. */
  submit: Counts;
  readRunning: Counts;
  readFinished: Counts;
  /** Not from a cache. */
  image: Counts;
  forged: Counts;
  /** Refused by a limit. */
  limited: Counts;
  /** With no open task. */
  idleTick: Counts;
  idleRound: Counts;
  /** One whole tick of a minute with no open task, rounds every 2 s. */
  idleMinute: Counts;
  roundsAMinute: number;
  /** Cron's share of a task that runs: nothing, but for being polled. */
  unchangedTick: Counts;
  /** Beyond an unchanged tick: that the upstream works at the task was found and written. */
  started: Counts;
  /** Beyond an unchanged tick: the task was found done, and was stored, ended, settled and closed. */
  finished: Counts;
  /** From submit to settled, without readers: what of it is the task's own. */
  whole: Counts;
  /** One round among `dueTasks`, beyond an idle one. */
  busyRound: Counts;
  dueTasks: number;
  /** The alarm of a tenant's object that has a task in flight. */
  alarm: Counts;
}

/** A stage whose gateway counts. @param folder Where its storage is. */
export async function startCountedStage(folder: string): Promise<Stage> {
  return startStage(folder, await bundleGateway("counted"));
}

const json = { "content-type": "application/json" };
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const unlimited = { requests_per_minute: 1e9, images_per_minute: 1e9, concurrent_tasks: 1e9 };
const dueTasks = 20;

interface Shown {
  id: string;
  status: string;
  results: string[];
}

/** The stage's doors, and one operation's counts at a time. */
function doorsOf({ gatewayUrl, upstreamUrl }: Stage) {
  const call = async (path: string, status: number, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(path.startsWith("http") ? path : gatewayUrl + path, init);
    if (response.status === status) return response;
    throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  };
  const post = (path: string, key: string, body: object, status: number) =>
    call(path, status, { method: "POST", headers: { ...bearer(key), ...json }, body: JSON.stringify(body) });
  return {
    call,
    admin: async (path: string, body: object) =>
      (await post(`/admin/api${path}`, secrets.ADMIN_API_KEY, body, 201)).json() as Promise<{
        id: string;
        key: string;
      }>,
    submit: async (key: string, status = 200) =>
      (await post("/v1/images/generations", key, generation, status)).json() as Promise<Shown>,
    read: async (key: string, id: string, status = 200) =>
      (await call(`/v1/tasks/${id}`, status, { headers: bearer(key) })).json() as Promise<Shown>,
    tick: async (every?: number) =>
      ((await (await call(`/_tick${every ? `?every=${every}` : ""}`, 200)).json()) as { rounds: number })
        .rounds,
    say: (status: string, progress: number) =>
      call(`${upstreamUrl}/_say/${status}/${progress}`, 200, { method: "POST" }),
    advance: async (ms: number) =>
      ((await (await call(`/_advance?ms=${ms}`, 200)).json()) as { nowMs: number }).nowMs,
    counts: async () => (await (await call("/_counts", 200)).json()) as Counts,
  };
}

type Doors = ReturnType<typeof doorsOf>;

const generation = { model: "wan-2.7-image", prompt: "a lighthouse at dusk, seen from the sea" };

/** Measures every step of a task's life. The stage must be new, and {@link startCountedStage}'s. */
export async function measureLife(stage: Stage): Promise<Life> {
  const doors = doorsOf(stage);
  const count = async (work: () => Promise<unknown>): Promise<Counts> => {
    await doors.counts();
    await work();
    return doors.counts();
  };
  const tenant = await makeTenant(doors, unlimited);
  const poor = await makeTenant(doors, { ...unlimited, images_per_day: 1 });
  await doors.submit(poor.key);
  await liveThrough(doors, [poor.key]);
  await liveThrough(doors, [tenant.key]);

  await alignMinute(doors);
  const idleTick = await count(() => doors.tick());
  let roundsAMinute = 0;
  await alignMinute(doors);
  const idleMinute = await count(async () => {
    roundsAMinute = await doors.tick(2);
  });
  const idleRound = perRound(beyond(idleMinute, idleTick), roundsAMinute - 1);

  await alignMinute(doors);
  const task: Shown = { id: "", status: "", results: [] };
  const submit = await count(async () => Object.assign(task, await doors.submit(tenant.key)));
  await doors.say("processing", 20);
  await doors.advance(4_000);
  const startedTick = await count(() => doors.tick());
  await doors.advance(5_000);
  const unchangedTick = await count(() => doors.tick());
  await doors.say("processing", 50);
  await doors.advance(5_000);
  const readRunning = await count(() => doors.read(tenant.key, task.id));
  await doors.say("completed", 100);
  await doors.advance(16_000);
  const finishedTick = await count(() => doors.tick());
  const readFinished = await count(async () => Object.assign(task, await doors.read(tenant.key, task.id)));
  if (task.status !== "completed") throw new Error(`the task is ${task.status}`);
  const image = await count(() => doors.call(task.results[0] ?? "", 200));
  const limited = await count(() => doors.submit(poor.key, 429));
  const forgedKey = `${tenant.key.slice(0, -4)}${tenant.key.endsWith("0000") ? "1111" : "0000"}`;
  const forged = await count(() => doors.read(forgedKey, task.id, 401));

  await doors.say("processing", 10);
  for (let i = 0; i < dueTasks; i++) await doors.submit(tenant.key);
  await doors.counts();
  await doors.advance(4_000);
  await doors.tick();
  await doors.advance(5_000);
  const busyRound = beyond(await count(() => doors.tick()), idleTick);
  const alarm = await count(() => doors.call(`/_alarm?tenant=${tenant.id}`, 200));

  const started = beyond(startedTick, unchangedTick);
  const finished = beyond(finishedTick, unchangedTick);
  return {
    submit,
    readRunning,
    readFinished,
    image,
    forged,
    limited,
    idleTick,
    idleRound,
    idleMinute,
    roundsAMinute,
    unchangedTick,
    started,
    finished,
    whole: sumOf(submit, started, finished),
    busyRound,
    dueTasks,
    alarm,
  };
}

async function makeTenant({ admin }: Doors, limits: object): Promise<{ id: string; key: string }> {
  const { id } = await admin("/tenants", { name: "Bench", limits });
  const { key } = await admin(`/tenants/${id}/keys`, { name: "bench", kind: "secret" });
  return { id, key };
}

/** One task of each, from submit to settled, so that all that is there for many is there. */
async function liveThrough(doors: Doors, keys: string[]): Promise<void> {
  for (const key of keys) await doors.submit(key).catch(() => undefined);
  // Which waits for what goes on beside replies: D1 gets the tasks there.
  await doors.counts();
  await doors.say("completed", 100);
  await doors.advance(10_000);
  await doors.tick();
  await doors.counts();
  await doors.say("pending", 0);
}

/** Moves the clock to the start of a minute in which cron reconciles no tenant: nine of ten are. */
async function alignMinute({ advance }: Doors): Promise<void> {
  const nowMs = await advance(0);
  const minute = Math.floor(nowMs / 60_000) + 1;
  await advance((minute % 10 === 0 ? minute + 1 : minute) * 60_000 - nowMs);
}

function perRound(counts: Counts, rounds: number): Counts {
  const entries = Object.entries(counts).map(([name, value]) => [name, value / rounds]);
  return Object.fromEntries(entries) as unknown as Counts;
}
