/** The limit of requests a minute, as a caller meets it: exact, and honest about when to come back. */
import { describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { countTasks, expectError, goodBody, makeKey, policy, submit } from "../../helpers/routes.ts";

async function limited(requestsPerMinute: number) {
  const gateway = startGateway();
  const tenant = await gateway.makeTenant({ limits: { requests_per_minute: requestsPerMinute } });
  return { gateway, ...tenant };
}

async function statuses(gateway: TestGateway, key: string, attempts: number): Promise<number[]> {
  const replies = await Promise.all(Array.from({ length: attempts }, () => submit(gateway, key)));
  return replies.map((reply) => reply.status);
}

const admitted = (all: number[]) => all.filter((status) => status === 200).length;

describe("too many requests", () => {
  it.each([1, 7, 13])("of %i a minute say exactly when the next one is admitted", async (limit) => {
    const { gateway, key } = await limited(limit);
    for (let i = 0; i < limit; i++) expect((await submit(gateway, key)).status).toBe(200);
    const refused = await submit(gateway, key);
    const seconds = Number(refused.headers.get("retry-after"));
    expect(seconds).toBe(Math.ceil(60 / limit));
    await expectError(refused, "rate_limited");

    gateway.advance((seconds - 1) * 1000);
    const early = await submit(gateway, key);
    expect(early.headers.get("retry-after")).toBe("1");
    await expectError(early, "rate_limited");
    gateway.advance(1000);
    expect((await submit(gateway, key)).status).toBe(200);
  });

  it("can be attempted again, and cost nothing", async () => {
    const { gateway, key } = await limited(1);
    await submit(gateway, key);
    const refused = await submit(gateway, key);
    expect(await refused.json()).toMatchObject({ error: { retryable: true, charged: "no" } });
    expect(refused.headers.get("x-should-retry")).toBeNull();
  });

  it("have the limit's state in both forms", async () => {
    const { gateway, key } = await limited(2);
    await submit(gateway, key);
    await submit(gateway, key);
    const { headers } = await submit(gateway, key);
    expect(policy(headers, "RateLimit-Policy", "requests")).toEqual({ q: 2, w: 60 });
    expect(policy(headers, "RateLimit", "requests")).toEqual({ r: 0, t: 60 });
    expect(headers.get("x-ratelimit-limit-requests")).toBe("2");
    expect(headers.get("x-ratelimit-remaining-requests")).toBe("0");
    expect(headers.get("x-ratelimit-reset-requests")).toBe("60");
  });

  it("consume nothing, write nothing and send nothing", async () => {
    const { gateway, key } = await limited(1);
    await submit(gateway, key);
    const before = await countTasks();
    gateway.advance(30_000);
    for (let i = 0; i < 5; i++) {
      const refused = await submit(gateway, key);
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "30"]);
    }
    expect(await countTasks()).toBe(before);
    expect(gateway.simulator.control.calls()).toHaveLength(1);
    gateway.advance(30_000);
    expect((await submit(gateway, key)).status).toBe(200);
  });
});

describe("the limit", () => {
  it("admits exactly itself of parallel requests", async () => {
    const { gateway, key } = await limited(5);
    expect(admitted(await statuses(gateway, key, 20))).toBe(5);
  });

  it("is the tenant's, not the key's", async () => {
    const { gateway, key, id } = await limited(4);
    const { key: second } = await makeKey(gateway, id, {});
    const all = await Promise.all([statuses(gateway, key, 10), statuses(gateway, second, 10)]);
    expect(admitted(all.flat())).toBe(4);
  });

  it("of one tenant says nothing of another's", async () => {
    const { gateway, key } = await limited(1);
    const other = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    await submit(gateway, key);
    expect((await submit(gateway, key)).status).toBe(429);
    expect((await submit(gateway, other.key)).status).toBe(200);
  });

  it("holds as the operator changed it from the next request on", async () => {
    const { gateway, key, id } = await limited(1);
    await submit(gateway, key);
    expect((await submit(gateway, key)).status).toBe(429);
    await gateway.admin("PATCH", `/tenants/${id}`, { limits: { requests_per_minute: 3 } });
    expect((await submit(gateway, key)).headers.get("x-ratelimit-limit-requests")).toBe("3");
    await gateway.admin("PATCH", `/tenants/${id}`, { limits: { requests_per_minute: null } });
    expect(admitted(await statuses(gateway, key, 10))).toBe(10);
  });

  it("keeps the slot of a request that the upstream refused", async () => {
    const { gateway, key } = await limited(2);
    gateway.simulator.control.script({
      on: "submit",
      do: { kind: "error", status: 400, code: "content_policy_violation" },
    });
    const refused = await submit(gateway, key);
    expect(policy(refused.headers, "RateLimit", "requests")).toMatchObject({ r: 1 });
    expect(policy(refused.headers, "RateLimit-Policy", "requests")).toEqual({ q: 2, w: 60 });
    expect(refused.headers.get("x-ratelimit-remaining-requests")).toBe("1");
    await expectError(refused, "content_policy_violation");
    await submit(gateway, key);
    expect((await submit(gateway, key)).status).toBe(429);
  });

  it("is not touched by requests that were refused for what they are", async () => {
    const { gateway, key } = await limited(1);
    await expectError(await submit(gateway, key, { n: 0 }), "invalid_request", "n");
    await expectError(await gateway.post("/v1/images/generations", goodBody), "missing_key");
    await expectError(
      await gateway.fetch("/v1/nothing", { headers: { authorization: "Bearer x" } }),
      "invalid_key",
    );
    expect((await submit(gateway, key)).status).toBe(200);
  });
});
