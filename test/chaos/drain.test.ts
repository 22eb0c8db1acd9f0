/**
 * Draining many due tasks, by one invocation and through the Queue: none lost, none done twice, and how long each takes.
 * `DRAIN_TASKS` chooses how many.
 */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { type Drained, drain } from "../helpers/drain-world.ts";
import { emptyStores } from "../helpers/setup.ts";

const settings = env as unknown as { DRAIN_TASKS?: string };
const tasks = Number(settings.DRAIN_TASKS ?? 100);
const price = 30;

const perfect = {
  completed: tasks,
  open: 0,
  readAgain: 0,
  notFetchedOnce: 0,
  objects: tasks,
  puts: tasks,
  settlements: tasks,
  charged: tasks * price,
  held: 0,
  discrepancies: [],
  workItemsLeft: 0,
};

function report(what: string, { seconds, messages, callsToD1 }: Drained, realMs: number): void {
  const machine = `${Math.round(realMs / 1000)} s of this machine`;
  console.log(
    `${what}: ${tasks} tasks in ${seconds} virtual s, ${messages} messages, ${callsToD1} calls to D1 (${machine})`,
  );
}

it.each([
  ["in one invocation", 0],
  ["through the Queue, 24 consumers", 24],
])(
  "many due tasks, %s: none is lost, none is done twice",
  async (what, consumers) => {
    await emptyStores();
    const realMs = performance.now();
    const drained = await drain(tasks, consumers, settings.DRAIN_TASKS ? console.log : () => undefined);
    report(what, drained, performance.now() - realMs);
    expect(drained).toMatchObject(perfect);
    expect(drained.messages > 0).toBe(consumers > 0);
  },
  3_000_000,
);
