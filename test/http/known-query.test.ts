/** A parameter that a route does not have is refused by its name, and costs nothing; those that it has are taken. */
import { describe, expect, it } from "vitest";
import { bearer, startGateway, submitTask } from "../helpers/gateway.ts";
import { expectError, generations, goodBody, recordBindings } from "../helpers/routes.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });

describe("a parameter of a query that there is not", () => {
  it.each([
    ["GET", "/v1/tasks?statuss=failed", "statuss", "status, model, end_user"],
    ["GET", "/v1/usage?from=2026-01-01&until=2026-02-01", "until", "from, to, format"],
    ["HEAD", "/v1/models?x=1", "x", "none"],
    ["POST", `${generations}?wait=5`, "wait", "none"],
    ["DELETE", "/v1/tasks/task-x?force=1", "force", "none"],
    ["GET", "/v1/tasks?=failed", '""', "status, model"],
    ["GET", "/v1/tasks?status=failed&=", '""', "status, model"],
    ["GET", "/readyz?x=1", "x", "none"],
    ["GET", "/openapi.json?x=1", "x", "none"],
  ])("is refused by its name, and nothing is done: %s %s", async (method, path, name, taken) => {
    const { key } = await gateway.makeTenant();
    bindings.calls.length = 0;
    const body = method === "POST" ? { body: JSON.stringify(goodBody) } : {};
    const headers = { ...bearer(key), "content-type": "application/json" };
    const response = await gateway.fetch(path, { method, headers, ...body });
    expect(response.status).toBe(400);
    expect(bindings.calls).toEqual([]);
    if (method === "HEAD") return;
    const message = await expectError(response, "invalid_request", name);
    expect(message).toContain(`${name}: is not a parameter of this route, which takes ${taken}`);
  });

  it("is refused to the operator too", async () => {
    const response = await gateway.admin("GET", "/tasks?tenants=acme");
    expect(await expectError(response, "invalid_request", "tenants")).toMatch(/which takes .*tenant, /);
  });

  it("is no matter where a query is none of a route: without a key, and where there is no route", async () => {
    await expectError(await gateway.fetch("/v1/tasks?x=1"), "missing_key");
    const { key } = await gateway.makeTenant();
    await expectError(await gateway.fetch("/v1/nothing?x=1", { headers: bearer(key) }), "not_found");
  });

  it("is no matter to whether the Worker runs", async () => {
    const response = await gateway.fetch("/healthz?at=1757165031");
    expect(await response.json()).toEqual({ status: "ok" });
  });

  it("is none where a link's token opens a stream, nor in the address of a picture", async () => {
    const { key } = await gateway.makeTenant();
    const task = await submitTask(gateway, key);
    const { pathname, search } = new URL((task.links as { events: string }).events);
    const stream = await gateway.fetch(pathname + search);
    expect(stream.status).toBe(200);
    await stream.body?.cancel();
    await expectError(await gateway.fetch(`/images/img-${"0".repeat(26)}.png?v=2`), "not_found");
  });
});
