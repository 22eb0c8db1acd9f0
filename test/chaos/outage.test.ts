/**
 * An outage of the upstream costs callers time and nothing else: a caller that submits meanwhile gets 200, every task ends
 * well once the upstream is back, and the queue is drained in turns, so that a tenant with few tasks does not wait for
 * one with many.
 *
 * `OUTAGE_MINUTES` sets how long those last that are short in `npm test`.
 */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { clearTasks, startGateway, submitTask, type TestGateway } from "../helpers/gateway.ts";
import type { Rule } from "../simulator/app.ts";

beforeEach(clearTasks);

/** After so many, the queue is long enough for turns to show. */
const longMinutes = 10;
const shortMinutes = Number((env as unknown as { OUTAGE_MINUTES?: string }).OUTAGE_MINUTES ?? 4);
const perMinute = { many: 5, few: 1 };
const noLimits = { requests_per_minute: null, images_per_minute: null, concurrent_tasks: null };

type Outage = Extract<Rule, { on: "submit" }>["do"];

async function steadyLoad(gateway: TestGateway, outage: Outage, minutes: number) {
  const tenants = [];
  for (const name of ["many", "few", "few", "few"] as const) {
    tenants.push({ name, ...(await gateway.makeTenant({ limits: noLimits })) });
  }
  gateway.simulator.control.script({ on: "submit", do: outage });
  let submitted = 0;
  for (let minute = 0; minute < minutes; minute++) {
    for (const { name, key } of tenants) {
      for (let i = 0; i < perMinute[name]; i++, submitted++) {
        // Throws for anything but 200.
        await submitTask(gateway, key, { prompt: "a boat [sim:seconds=5]" });
      }
    }
    await gateway.tick();
    gateway.advance(60_000 - (gateway.now() % 60_000));
  }
  gateway.simulator.control.script({ on: "submit", do: { kind: "pass" } });
  const backMs = gateway.now();
  return { tenants, submitted, backMs };
}

interface Wait {
  tenant_id: string;
  first: number;
  last: number;
  count: number;
}

it.each([
  ["is not to be reached", shortMinutes, { kind: "reset" }],
  ["answers 503", longMinutes, { kind: "error", status: 503, code: "service_unavailable" }],
  ["answers 429", shortMinutes, { kind: "rate_limit", retryAfter: 30 }],
] satisfies [string, number, Outage][])(
  "an outage in which the upstream %s, of %i minutes",
  async (_what, minutes, outage) => {
    const gateway = startGateway({ vars: { POLL_ROUND_SECONDS: 2 } });
    const { tenants, submitted, backMs } = await steadyLoad(gateway, outage, minutes);
    for (let minute = 0; minute < 10; minute++) {
      await gateway.tick();
      gateway.advance(60_000 - (gateway.now() % 60_000));
    }
    const done = await env.DB.prepare("SELECT state, count(*) AS count FROM tasks GROUP BY state").all();
    expect(done.results).toEqual([{ state: "completed", count: submitted }]);
    expect(gateway.simulator.control.tasks()).toHaveLength(submitted);

    const { results } = await env.DB.prepare(
      `SELECT tenant_id, min(submitted_ms) AS first, max(submitted_ms) AS last, count(*) AS count
       FROM tasks GROUP BY tenant_id`,
    ).all();
    const waits = new Map((results as unknown as Wait[]).map((wait) => [wait.tenant_id, wait]));
    const seconds = (ms: number) => Math.round((ms - backMs) / 1000);
    const lines = tenants.map(({ id, name }) => {
      const { first, last, count } = waits.get(id) ?? { first: 0, last: 0, count: 0 };
      return `  ${name.padEnd(5)} ${String(count).padStart(4)} tasks: the first ${seconds(first)} s after the upstream was back, the last ${seconds(last)} s`;
    });
    console.log(lines.join("\n"));
    const lastOf = (wanted: string) =>
      tenants.filter(({ name }) => name === wanted).map(({ id }) => waits.get(id)?.last ?? 0);
    if (minutes < longMinutes) return;
    // Those with few are through before the one with many is.
    expect(Math.max(...lastOf("few"))).toBeLessThanOrEqual(Math.max(...lastOf("many")));
  },
  240_000,
);
