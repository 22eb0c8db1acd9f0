/** Whether the gateway runs, and whether what it stands on answers. */
import { beforeEach, describe, expect, it } from "vitest";
import { bearer, startGateway, submitTask } from "../../helpers/gateway.ts";
import { deleteTasks, recordBindings } from "../../helpers/routes.ts";

beforeEach(deleteTasks);

function start(vars: Record<string, unknown> = {}) {
  const bindings = recordBindings();
  const gateway = startGateway({ around: bindings.around, vars });
  const ready = (headers: Record<string, string> = {}) => gateway.fetch("/readyz", { headers });
  const asOperator = bearer(gateway.config.ADMIN_API_KEY);
  return { gateway, bindings, ready, asOperator };
}

describe("/healthz", () => {
  it("says ok without a call to anything, even when everything is broken", async () => {
    const { gateway, bindings } = start();
    for (const part of ["D1", "R2", "object", "fetch"]) bindings.broken.add(part);
    const response = await gateway.fetch("/healthz");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(bindings.calls).toEqual([]);
  });
});

describe("/readyz", () => {
  it("asks database, bucket and object, and shows callers without a key no more than ok", async () => {
    const { bindings, ready } = start();
    const response = await ready();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(bindings.calls.map((call) => call.split(" ")[0])).toEqual(
      expect.arrayContaining(["D1", "R2", "object"]),
    );
  });

  it.each([
    ["no key", {}],
    ["a wrong key", bearer("admin-test-key-0123456789abcdef-012345678x")],
    ["an empty key", { authorization: "Bearer " }],
  ])("gives no details with %s", async (_what, headers: Record<string, string>) => {
    const { ready } = start();
    const response = await ready(headers);
    expect([response.status, await response.json()]).toEqual([200, { status: "ok" }]);
  });

  it("gives its details with the operator's key", async () => {
    const { ready, asOperator } = start();
    expect(await (await ready(asOperator)).json()).toEqual({
      status: "ok",
      checks: { database: "ok", storage: "ok", limiter: "ok" },
      oldest_overdue_seconds: 0,
      oldest_overdue_erasure_seconds: 0,
      migrations_missing: [],
    });
  });

  it("gives its details with the operator's key for reading", async () => {
    const { ready } = start({ ADMIN_READ_KEY: "reading-key-0123456789-0123456789" });
    expect(await (await ready(bearer("reading-key-0123456789-0123456789"))).json()).toHaveProperty("checks");
    const lowerCase = { authorization: "bearer reading-key-0123456789-0123456789" };
    expect(await (await ready(lowerCase)).json()).toHaveProperty("checks");
  });

  it("shows the operator how long the oldest task is overdue", async () => {
    const { gateway, ready, asOperator } = start({ TASK_DEADLINE_SECONDS: 60 });
    const { key } = await gateway.makeTenant();
    await submitTask(gateway, key);
    gateway.advance(30_000);
    await submitTask(gateway, key);
    expect(await (await ready(asOperator)).json()).toMatchObject({ oldest_overdue_seconds: 0 });
    gateway.advance(155_000);
    expect(await (await ready(asOperator)).json()).toMatchObject({ oldest_overdue_seconds: 125 });
  });

  it.each([
    ["the database", "D1", { database: "failed", storage: "ok", limiter: "ok" }],
    ["the bucket", "R2", { database: "ok", storage: "failed", limiter: "ok" }],
    ["the object", "object", { database: "ok", storage: "ok", limiter: "failed" }],
  ])("answers 503 while %s is down, and names it to the operator only", async (_what, part, checks) => {
    const { bindings, ready, asOperator } = start();
    bindings.broken.add(part);
    const response = await ready();
    expect([response.status, await response.json()]).toEqual([503, { status: "unavailable" }]);
    const detailed = await ready(asOperator);
    expect(detailed.status).toBe(503);
    expect(await detailed.json()).toMatchObject({ status: "unavailable", checks });
  });

  it("asks again after 10 s, and not before, for any caller", async () => {
    const { gateway, bindings, ready, asOperator } = start();
    await ready();
    // The first call asks besides whether the database has its tables.
    bindings.calls.length = 0;
    gateway.advance(10_000);
    await ready();
    const once = bindings.calls.length;
    expect(once).toBeGreaterThan(0);
    gateway.advance(9_999);
    await Promise.all([ready(), ready(asOperator), ready()]);
    expect(bindings.calls).toHaveLength(once);
    gateway.advance(1);
    await ready();
    expect(bindings.calls).toHaveLength(2 * once);
  });

  it("sees an outage come and go within 10 s each", async () => {
    const { gateway, bindings, ready } = start();
    expect((await ready()).status).toBe(200);
    bindings.broken.add("D1");
    expect((await ready()).status).toBe(200);
    gateway.advance(10_000);
    expect((await ready()).status).toBe(503);
    bindings.broken.clear();
    expect((await ready()).status).toBe(503);
    gateway.advance(10_000);
    expect((await ready()).status).toBe(200);
  });
});
