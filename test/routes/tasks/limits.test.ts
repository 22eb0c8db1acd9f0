/**
 * Limits as a caller meets them: every refusal has its code, and a moment at which the same request is admitted. That each
 * admits exactly what it says of however many is shown at the object, in `test/tenant/limits.test.ts`; here of one limit,
 * over HTTP.
 */

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import type { Tenant } from "../../../src/tenant/object.ts";
import { clearTasks, finishTask, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { type Code, expectError, policy, submit } from "../../helpers/routes.ts";
import { limitsOf } from "../../helpers/tenant-object.ts";

beforeEach(clearTasks);

const quota = 4;
/** None, so that the one under test is the only one. */
const unlimited = limitsOf({});

interface Limit {
  name: string;
  body: object;
  code: Code;
  /** Its item in the RateLimit fields. */
  policy: string;
  fields?: object;
}

const limits: Limit[] = [
  {
    name: "requests a minute",
    body: { limits: { requests_per_minute: quota } },
    code: "rate_limited",
    policy: "requests",
  },
  {
    name: "images a minute",
    body: { limits: { images_per_minute: quota } },
    code: "rate_limited",
    policy: "images",
  },
  {
    name: "images a minute, two at a time",
    body: { limits: { images_per_minute: 2 * quota } },
    code: "rate_limited",
    policy: "images",
    fields: { n: 2 },
  },
  {
    name: "tasks in flight",
    body: { limits: { concurrent_tasks: quota } },
    code: "too_many_tasks",
    policy: "tasks",
  },
  {
    name: "images a day",
    body: { limits: { images_per_day: quota } },
    code: "quota_exceeded",
    policy: "daily",
  },
  {
    name: "images a month",
    body: { limits: { images_per_month: quota } },
    code: "quota_exceeded",
    policy: "monthly",
  },
];

async function tenantWith(gateway: TestGateway, { body }: Limit) {
  const { limits: own } = body as { limits: object };
  return gateway.makeTenant({ ...body, limits: { ...unlimited, ...own } });
}

const submitMany = (gateway: TestGateway, key: string, count: number, fields = {}) =>
  Promise.all(Array.from({ length: count }, () => submit(gateway, key, { size: "square", ...fields })));

it("admits exactly what the limit says of 500 at once, also when the object is evicted in the middle", async () => {
  const most = 37;
  const gateway = startGateway();
  const { id, key } = await gateway.makeTenant({ limits: { ...unlimited, images_per_minute: 2 * most + 1 } });
  const object = (env.TENANTS as unknown as DurableObjectNamespace<Tenant>).getByName(id);
  const replies: Response[] = [];
  for (const count of [20, 480]) {
    replies.push(...(await submitMany(gateway, key, count, { n: 2 })));
    await evictDurableObject(object);
  }
  replies.push(...(await submitMany(gateway, key, 1, { n: 2 })));
  const refused = replies.filter(({ status }) => status !== 200);
  expect(replies.length - refused.length).toBe(most);
  for (const reply of refused) {
    expect(policy(reply.headers, "RateLimit", "images")?.r).toBe(1);
    expect(reply.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    await expectError(reply, "rate_limited");
  }
  expect(gateway.simulator.control.tasks()).toHaveLength(most);
});

describe.each(limits)("a refusal by $name", (limit) => {
  it("names a moment at which the same request is admitted", async () => {
    const gateway = startGateway();
    const { key } = await tenantWith(gateway, limit);
    const replies = await submitMany(gateway, key, quota, limit.fields);
    const [first] = (await Promise.all(replies.map((reply) => reply.json()))) as { id: string }[];
    const refused = await submit(gateway, key, limit.fields);
    expect(refused.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    const seconds = Number(refused.headers.get("retry-after"));
    expect(policy(refused.headers, "RateLimit", limit.policy)?.r).toBe(0);
    await expectError(refused, limit.code);
    // Tasks in flight end by work, not by the clock.
    if (limit.code === "too_many_tasks") await finishTask(gateway, key, first?.id ?? "");
    else {
      gateway.advance((seconds - 1) * 1000);
      await expectError(await submit(gateway, key, limit.fields), limit.code);
      gateway.advance(1000);
    }
    expect((await submit(gateway, key, limit.fields)).status).toBe(200);
  });
});

describe("an n above a whole limit", () => {
  it.each([
    { limits: { images_per_minute: 2 } },
    { limits: { images_per_day: 2 } },
    { limits: { images_per_month: 2 } },
  ])("is refused for what it is, since no waiting helps: %j", async (body) => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant(body);
    expect(await expectError(await submit(gateway, key, { n: 3 }), "invalid_request", "n")).toMatch(
      /at most 2/,
    );
    expect((await submit(gateway, key, { n: 2 })).status).toBe(200);
  });
});

describe("the headers of a submission", () => {
  it("name every policy in force, admitted or refused, and a refusal moves none of them", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({
      limits: { concurrent_tasks: 2, images_per_day: 50, images_per_month: 500 },
    });
    const names = ["requests", "images", "tasks", "daily", "monthly"];
    const state = (reply: Response) => names.map((name) => policy(reply.headers, "RateLimit", name)?.r);
    const limit = (reply: Response) =>
      names.map((name) => policy(reply.headers, "RateLimit-Policy", name)?.q);
    const first = await submit(gateway, key, { n: 2 });
    expect(limit(first)).toEqual([600, 60, 2, 50, 500]);
    expect(state(first)).toEqual([599, 58, 1, 48, 498]);
    expect(state(await submit(gateway, key))).toEqual([598, 57, 0, 47, 497]);
    const refused = await submit(gateway, key);
    expect(state(refused)).toEqual([598, 57, 0, 47, 497]);
    expect(refused.headers.get("x-ratelimit-remaining-requests")).toBe("598");
    await expectError(refused, "too_many_tasks");
  });

  it("say windows in seconds, and none for tasks in flight", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({ limits: { images_per_day: 5, images_per_month: 5 } });
    const { headers } = await submit(gateway, key);
    const window = (name: string) => policy(headers, "RateLimit-Policy", name)?.w;
    // The tests' clock is in March 2030.
    expect(["requests", "images", "tasks", "daily", "monthly"].map(window)).toEqual([
      60,
      60,
      undefined,
      86_400,
      31 * 86_400,
    ]);
    const untilMidnight = 86_400 - (Math.floor(gateway.now() / 1000) % 86_400);
    expect(policy(headers, "RateLimit", "daily")?.t).toBe(untilMidnight);
  });
});
