/**
 * How long a finished picture lies upstream before it is stored and its tenant notified, without readers: cron alone, in virtual time, so
 * that the figures are made of the gateway's own pauses and the upstream's answers, and of no machine's speed.
 */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { chanceOf } from "../../helpers/chance.ts";
import { evidence } from "../../helpers/evidence.ts";
import { clearTasks, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { virtualTime, withCron } from "../../helpers/virtual-time.ts";
import { hook, startWithReceiver } from "../../helpers/webhook-receiver.ts";

beforeEach(clearTasks);

const tasks = 120;
const submittedWithinMs = 108_000;
const upstreamSeconds = { from: 5, to: 90 };
/** What each call to the upstream takes: some sixty open tasks keep a round busy for a while. */
const answerMs = 200;

const unlimited = {
  requests_per_minute: null,
  images_per_minute: null,
  concurrent_tasks: null,
  refusals_per_day: null,
};

/** Submits tasks at odd moments, each of a length of its own, and waits until all have had the time to end. */
async function submitAll(gateway: TestGateway, key: string, seed: number): Promise<void> {
  const chance = chanceOf(seed);
  const plan = Array.from({ length: tasks }, () => ({
    atMs: chance.between(1, submittedWithinMs),
    seconds: chance.between(upstreamSeconds.from * 1000, upstreamSeconds.to * 1000) / 1000,
  }));
  await Promise.all(
    plan.map(async ({ atMs, seconds }) => {
      await gateway.sleep(atMs);
      // One seed, one picture: drawing a hundred would be the slowest part.
      await submitTask(gateway, key, { prompt: `a boat [sim:seconds=${seconds}]`, seed: 7 });
    }),
  );
  await gateway.sleep(upstreamSeconds.to * 1000 + 60_000);
}

/** When each task was finished in the record, by its id. */
async function storedAt(): Promise<Map<string, number>> {
  const { results } = await env.DB.prepare(
    "SELECT id, finished_ms AS atMs FROM tasks WHERE state = 'completed'",
  ).all<{ id: string; atMs: number }>();
  return new Map(results.map(({ id, atMs }) => [id, atMs]));
}

interface Column {
  p50: number;
  p99: number;
  max: number;
}

/** What lies between the upstream's end of each task and a later moment of it. */
function columnOf(gateway: TestGateway, atMs: Map<string, number>): Column {
  const taken = gateway.simulator.control
    .tasks()
    .map((task) => (atMs.get(task.idempotencyKey ?? "") ?? Number.POSITIVE_INFINITY) - task.doneAt)
    .toSorted((a, b) => a - b);
  const rank = (share: number) => taken[Math.ceil(share * taken.length) - 1] ?? Number.NaN;
  return { p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}

function print(columns: Record<string, Column>): void {
  const shown = Object.entries(columns).map(
    ([name, { p50, p99, max }]) => `${name} p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`,
  );
  console.log(`from upstream done to: ${shown.join("; ")}`);
}

it("a picture that is ready upstream is stored, and its tenant notified, within 3 s, by half, and within 6 s, by 99 of 100", async () => {
  const time = virtualTime({ takes: (name) => (name.startsWith("fetch") ? answerMs : 0) });
  const { gateway, received } = startWithReceiver({ vars: { POLL_ROUND_SECONDS: 2 }, time });
  const { key } = await gateway.makeTenant({ limits: unlimited, webhook: { url: hook } });
  await withCron(gateway, () => submitAll(gateway, key, 1));
  const stored = columnOf(gateway, await storedAt());
  const receivedAt = new Map(received.map(({ body, atMs }) => [body.data?.id ?? "", atMs]));
  const webhook = columnOf(gateway, receivedAt);
  print({ stored, "webhook received": webhook });
  evidence({ noticeTasks: tasks, noticeP50: webhook.p50, noticeP99: webhook.p99 });
  expect(gateway.simulator.control.tasks()).toHaveLength(tasks);
  expect(received).toHaveLength(tasks);
  for (const { p50, p99 } of [stored, webhook]) {
    expect(p50).toBeLessThanOrEqual(3_000);
    expect(p99).toBeLessThanOrEqual(6_000);
  }
}, 240_000);
