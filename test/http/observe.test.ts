/** What the operator sees of a request: one line, with what is needed to find it and nothing that is secret. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { describe as describeError } from "../../src/platform/log.ts";
import { bearer, finishTask, startGateway, submitTask } from "../helpers/gateway.ts";
import { generations, goodBody, read, storePicture, submit } from "../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
beforeAll(async () => {
  tenant = await gateway.makeTenant();
});
beforeEach(() => {
  gateway.logs.length = 0;
});

const requestLines = () => gateway.logs.filter((line) => line.event === "request");

/** Sends a request; gives the reply and its only line. */
async function logged(ask: () => Promise<Response>): Promise<[Response, Record<string, unknown>]> {
  const before = requestLines().length;
  const response = await ask();
  const lines = requestLines().slice(before);
  expect(lines).toHaveLength(1);
  return [response, lines[0] ?? {}];
}

describe("a request's log line", () => {
  it("of a submit has request, tenant, task, status and what it cost", async () => {
    const [response, line] = await logged(() => submit(gateway, tenant.key));
    const { id } = (await response.json()) as { id: string };
    expect(line).toMatchObject({
      event: "request",
      request: response.headers.get("x-request-id"),
      method: "POST",
      route: generations,
      status: 200,
      tenant: tenant.id,
      task: id,
      rows_read: expect.any(Number),
      rows_written: expect.any(Number),
      ms: expect.any(Number),
    });
    // The tenant's object writes its row, beside the reply.
    expect(line.rows_written).toBe(0);
  });

  it("of a read has rows read and none written", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const [response, line] = await logged(() => read(gateway, tenant.key, id));
    expect(line).toMatchObject({
      request: response.headers.get("x-request-id"),
      tenant: tenant.id,
      task: id,
      status: 200,
    });
    expect(line.rows_read).toBeGreaterThan(0);
    expect(line.rows_written).toBe(0);
  });

  it("of an error has its code", async () => {
    const [, invalid] = await logged(() => submit(gateway, tenant.key, { n: 0 }));
    expect(invalid).toMatchObject({ status: 400, code: "invalid_request", tenant: tenant.id });
    const [, unknown] = await logged(() => read(gateway, tenant.key, "task-x"));
    expect(unknown).toMatchObject({ status: 404, code: "task_not_found", tenant: tenant.id });
    const [, anonymous] = await logged(() => gateway.fetch("/v1/tasks/task-x"));
    expect(anonymous).toMatchObject({ status: 401, code: "missing_key" });
    const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    await submit(gateway, key);
    const [, early] = await logged(() => submit(gateway, key));
    expect(early).toMatchObject({ status: 429, code: "rate_limited" });
  });

  it.each([
    ["a route that is not there", "/nothing", 404],
    ["a route under /v1 that is not there", "/v1/nothing", 401],
    ["a picture that is not there", "/images/x.png", 404],
    ["the health check", "/healthz", 200],
    ["the OpenAPI document", "/openapi.json", 200],
  ])("is there for %s", async (_what, path, status) => {
    const [response, line] = await logged(() => gateway.fetch(path));
    expect(line).toMatchObject({ request: response.headers.get("x-request-id"), method: "GET", status });
  });

  it("is there for a preflight and for a condition that holds", async () => {
    const [, preflight] = await logged(() => gateway.fetch(generations, { method: "OPTIONS" }));
    expect(preflight).toMatchObject({ method: "OPTIONS", status: 204 });
    const { id } = await submitTask(gateway, tenant.key);
    const [, condition] = await logged(() => read(gateway, tenant.key, id, { "if-none-match": "*" }));
    expect(condition).toMatchObject({ status: 304, task: id });
  });

  it("of the operator's call names the tenant that it is about", async () => {
    const [, line] = await logged(() => gateway.admin("PATCH", `/tenants/${tenant.id}`, { name: "Renamed" }));
    expect(line).toMatchObject({ method: "PATCH", status: 200, tenant: tenant.id });
  });
});

describe("lines of reads", () => {
  const oneIn = 5;
  const sampling = startGateway({ vars: { LOG_READS: oneIn } });
  const linesOf = async (times: number, ask: () => Promise<Response>): Promise<Record<string, unknown>[]> => {
    sampling.logs.length = 0;
    for (let i = 0; i < times; i++) await ask();
    return sampling.logs.filter((line) => line.event === "request");
  };

  it("stand for several, and say for how many", async () => {
    const { path } = await storePicture(sampling, tenant.key, "png");
    const { id } = await submitTask(sampling, tenant.key);
    for (const ask of [() => read(sampling, tenant.key, id), () => sampling.fetch(path)]) {
      const lines = await linesOf(200, ask);
      // 40 are expected; of fewer than 10 or more than 90 the chance is below one in a hundred million.
      expect(lines.length).toBeGreaterThan(10);
      expect(lines.length).toBeLessThan(90);
      expect(lines.every((line) => line.one_in === oneIn)).toBe(true);
    }
  });

  it("are all there for what fails, for what is submitted, and for other routes", async () => {
    const ways = [
      () => read(sampling, tenant.key, "task-x"),
      () => sampling.fetch("/images/x.png"),
      () => submit(sampling, tenant.key),
      () => sampling.fetch("/v1/models", { headers: bearer(tenant.key) }),
    ];
    for (const ask of ways) {
      const lines = await linesOf(12, ask);
      expect(lines).toHaveLength(12);
      expect(lines.some((line) => "one_in" in line)).toBe(false);
    }
  });

  it("are all there for what takes a second", async () => {
    let delayMs = 0;
    const slow = startGateway({
      vars: { LOG_READS: 1_000_000 },
      around: async (name, call) => {
        if (name === "D1") slow.advance(delayMs);
        return call();
      },
    });
    const { id } = await submitTask(slow, tenant.key);
    delayMs = 1_000;
    slow.logs.length = 0;
    await read(slow, tenant.key, id);
    expect(slow.logs.filter((line) => line.event === "request")).toMatchObject([{ ms: expect.any(Number) }]);
  });
});

describe("the log", () => {
  it("holds no key, prompt or link, whatever happens", async () => {
    const prompt = "xyzzy-prompt by the sea";
    const fields = {
      prompt,
      negative_prompt: "xyzzy-negative",
      image_urls: ["https://pictures.example/xyzzy-reference.png"],
      callback_url: "https://hooks.example/xyzzy-callback",
      metadata: { order: "xyzzy-metadata" },
      end_user: "xyzzy-user",
    };
    const { path } = await storePicture(gateway, tenant.key, "webp");
    const { id } = await submitTask(gateway, tenant.key, fields);
    const { images } = await finishTask(gateway, tenant.key, id);
    for (const url of [
      path,
      `${path}?download=1&token=xyzzy-token`,
      new URL(images[0]?.url ?? "").pathname,
    ]) {
      await gateway.fetch(url);
    }
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "reset" } });
    await submit(gateway, tenant.key, fields);
    gateway.simulator.control.script({
      on: "submit",
      times: 1,
      do: { kind: "error", status: 401, code: "invalid_token", message: "{key}" },
    });
    await submit(gateway, tenant.key, fields);
    gateway.simulator.control.script({
      on: "picture",
      times: 1,
      do: { kind: "reply", status: 500, html: prompt },
    });
    await finishTask(gateway, tenant.key, (await submitTask(gateway, tenant.key, fields)).id);
    await submit(gateway, tenant.key, { ...fields, "xyzzy-field": 1, n: 9 });
    await gateway.fetch(`/v1/tasks/xyzzy-${tenant.key}?key=${tenant.key}`, { headers: bearer(tenant.key) });
    await gateway.fetch(`/xyzzy-path/${tenant.key}`, { headers: bearer(`${tenant.key}0`) });
    await gateway.post(generations, goodBody, {
      ...bearer(tenant.key),
      origin: "https://xyzzy-origin.example",
    });
    const made = await gateway.admin("POST", `/tenants/${tenant.id}/keys`, {
      name: "xyzzy-name",
      kind: "secret",
    });
    const { key } = (await made.json()) as { key: string };

    const lines = JSON.stringify(gateway.logs);
    expect(gateway.logs.length).toBeGreaterThan(15);
    const picture = path.split("/").at(-1)?.split(".")[0] ?? "";
    for (const secret of [tenant.key, key, tenant.key.split("_")[3] ?? "", picture]) {
      expect(secret.length).toBeGreaterThan(20);
      expect(lines).not.toContain(secret);
    }
    const { UPSTREAM_API_KEY, ADMIN_API_KEY, KEY_SIGNING_SECRET } = gateway.config;
    for (const secret of [UPSTREAM_API_KEY, ADMIN_API_KEY, KEY_SIGNING_SECRET, "://", "xyzzy", "/files/"]) {
      expect(lines).not.toContain(secret);
    }
  });
});

describe("what the log says of an error", () => {
  it.each([
    ["an address", "fetch of https://files.example/a.png?sig=s3cret failed", "fetch of [link] failed"],
    ["another scheme's address", "no route to wss://files.example", "no route to [link]"],
    ["a key", `key ${"sk-upstream-test-key-0123456789abcdef"} is unknown`, "key […] is unknown"],
    ["a word as long as a secret", `${"s".repeat(24)}, ${"w".repeat(23)}`, `[…], ${"w".repeat(23)}`],
    ["a key within an address", "at https://user:sk-0123456789abcdef01234567@files.example", "at [link]"],
    ["a long text", "a ".repeat(1_000), "a ".repeat(1_000)],
  ])("is without %s", (_what, message, logged) => {
    expect(describeError(new TypeError(message))).toBe(`TypeError: ${logged}`.slice(0, 300));
  });

  it("is the kind of it where it is no error: what was thrown may be anything", () => {
    expect(["https://files.example/s3cret", { key: "s3cret" }, undefined].map(describeError)).toEqual([
      "string",
      "object",
      "undefined",
    ]);
  });
});

describe("Server-Timing", () => {
  const steps = (response: Response) =>
    (response.headers.get("server-timing") ?? "")
      .split(",")
      .map((step) => step.trim().split(";")[0] ?? "")
      .filter((step) => step !== "");

  it("shows a key's holder where the time of a submit and of a read went", async () => {
    const submitted = await submit(gateway, tenant.key);
    expect(steps(submitted)).toEqual(expect.arrayContaining(["auth", "admit", "upstream", "total"]));
    const { id } = (await submitted.json()) as { id: string };
    expect(steps(await read(gateway, tenant.key, id))).toEqual(
      expect.arrayContaining(["auth", "db", "total"]),
    );
    for (const step of (submitted.headers.get("server-timing") ?? "").split(", ")) {
      expect(step).toMatch(/^(auth|admit|db|upstream|r2|total);dur=\d+(\.\d+)?$/);
    }
  });

  it.each([
    ["without a key", {}],
    ["with a forged key", bearer("wsk_forged")],
    ["with nonsense", { authorization: "Basic x" }],
  ])("shows nothing to a caller %s", async (_what, headers) => {
    const response = await gateway.fetch("/v1/tasks/task-x", { headers });
    expect(response.status).toBe(401);
    expect(response.headers.get("server-timing")).toBeNull();
    const admin = await gateway.fetch("/admin/api/tenants", { headers });
    expect(admin.status).toBe(401);
    expect(admin.headers.get("server-timing")).toBeNull();
  });
});
