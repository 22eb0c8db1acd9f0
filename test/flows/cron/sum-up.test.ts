/** Ticks add up what has ended; a caller's use and the operator's overview say the same before and after. */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { restoreArchive } from "../../../src/flows/archive/restore-archive.ts";
import { getAs } from "../../helpers/credits.ts";
import { finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";

const hourMs = 3_600_000;
let gateway: TestGateway;
beforeEach(async () => {
  await emptyStores();
  gateway = startGateway();
});

const json = async (response: Response) => (await response.json()) as Record<string, unknown>;
const summed = async () => {
  const { results } = await env.DB.prepare("SELECT sum(tasks) AS tasks FROM usage_days").all<{
    tasks: number | null;
  }>();
  return results[0]?.tasks ?? 0;
};

it("a tick an hour and ten minutes later adds up, and nothing that callers see changes", async () => {
  const { script } = gateway.simulator.control;
  const { key } = await gateway.makeTenant({ prices: { "wan-2.7-image": 10 } });
  await finishTask(gateway, key, (await submitTask(gateway, key, { n: 2 })).id);
  script({ on: "submit", times: 1, do: { kind: "plan", end: "failed", code: "generation_failed" } });
  await finishTask(gateway, key, (await submitTask(gateway, key)).id);
  script({ on: "submit", times: 1, do: { kind: "plan", seconds: 9_000 } });
  await submitTask(gateway, key);
  const seen = async () => {
    gateway.advance(5_000);
    const { days } = await json(await getAs(gateway, key, "/v1/usage"));
    const { days: all, last_day } = await json(await gateway.admin("GET", "/overview"));
    return { days, all, last_day };
  };
  const before = await seen();
  expect(before.days).toMatchObject([{ tasks: 3, images: 2, credits: 20 }]);

  await gateway.tick();
  expect(await summed()).toBe(0);
  gateway.advance(hourMs / 2);
  await gateway.tick();
  expect(await summed()).toBe(0);
  expect(gateway.logs.filter(({ event }) => event === "summed")).toEqual([]);
  gateway.advance(0.7 * hourMs);
  await gateway.tick();
  // The one that goes on past its deadline is ended by the same tick, and may be counted with the next.
  expect(await summed()).toBeGreaterThanOrEqual(2);
  expect(gateway.logs.filter(({ event }) => event === "summed")).toMatchObject([{ chunks: 1 }]);
  const [tick, sums] = ["tick", "summed"].map((name) => gateway.logs.findLast(({ event }) => event === name));
  expect(sums?.rows_read).toBeGreaterThan(10);
  expect(Number(tick?.rows_read)).toBeLessThan(100);
  gateway.advance(60_000);
  await gateway.tick();
  expect(await summed()).toBe(3);
  const after = await seen();
  expect(after.days).toEqual(before.days);
  expect(after.all).toMatchObject([{ tasks: 3, images: 2, credits: 20, failed: 2 }]);
  expect(after.last_day).toMatchObject({
    tasks: 3,
    time_to_picture_seconds: before.last_day
      ? (before.last_day as { time_to_picture_seconds: object }).time_to_picture_seconds
      : {},
  });
});

it("tabs share an overview for five seconds, those of other days too", async () => {
  const { key } = await gateway.makeTenant();
  const tasks = async (query: string) =>
    ((await json(await gateway.admin("GET", `/overview${query}`))).last_day as { tasks: number }).tasks;
  expect(await tasks("")).toBe(0);
  await submitTask(gateway, key);
  await gateway.tick();
  expect(await tasks("")).toBe(0);
  expect(await tasks("?days=7")).toBe(0);
  gateway.advance(5_000);
  expect(await tasks("")).toBe(1);
});

it("a period that cuts an archived day is refused by the name of its field, with the way out", async () => {
  const { key } = await gateway.makeTenant();
  await finishTask(gateway, key, (await submitTask(gateway, key)).id);
  const second = Math.floor(gateway.now() / 1000) - 60;
  gateway.advance(29 * 24 * hourMs);
  await gateway.tick();
  expect((await getAs(gateway, key, `/v1/usage?from=${second}`)).status).toBe(200);
  gateway.advance(40 * 24 * hourMs);
  await gateway.tick();
  expect((await env.DB.prepare("SELECT 1 FROM tasks").all()).results).toEqual([]);
  const refused = await getAs(gateway, key, `/v1/usage?from=${second}`);
  expect(await json(refused)).toMatchObject({
    error: {
      code: "invalid_request",
      param: "from",
      message: expect.stringMatching(/from: must be a UTC day such as 2026-01-31/),
    },
  });
  const day = new Date(second * 1000).toISOString().slice(0, 10);
  const use = async () => (await json(await getAs(gateway, key, `/v1/usage?from=${day}`))).days;
  const before = await use();
  expect(before).toMatchObject([{ date: day, tasks: 1 }]);
  // In D1 again it is counted as it was.
  const [{ id = "" } = {}] = (await json(await gateway.admin("GET", "/tenants"))).data as { id?: string }[];
  await restoreArchive(gateway.invocation(), { actor: "admin", requestId: "req-restore" }, id, {
    fromMs: second * 1000,
    toMs: gateway.now(),
  });
  expect((await env.DB.prepare("SELECT 1 FROM tasks").all()).results).toHaveLength(1);
  expect(await use()).toEqual(before);
});
