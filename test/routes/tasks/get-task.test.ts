/** Reading a task: what is shown, to whom, and what a condition saves. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../../src/app.ts";
import { bearer, finishTask, origin, startGateway, storedKeys, submitTask } from "../../helpers/gateway.ts";
import { comparable, expectError, read, submit, upstreamCalls } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
let stranger = tenant;
beforeAll(async () => {
  tenant = await gateway.makeTenant();
  stranger = await gateway.makeTenant();
});

describe("a task that is read", () => {
  it("is the one that was submitted", async () => {
    const fields = { metadata: { order: "7" }, end_user: "user-9", seed: 3 };
    const submitted = await (await submit(gateway, tenant.key, fields)).json();
    const response = await read(gateway, tenant.key, (submitted as { id: string }).id);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(submitted);
  });

  it.each([
    { end_user: "a\u0000b", metadata: { "k\u0000": "v\u0000w" } },
    { end_user: "'; DROP TABLE tasks; --", metadata: { '"': "\\" } },
    { end_user: "عمر 海 🌊 \u202e", prompt: "line\nline\u2028line\ttab" },
  ])("keeps every character: %j", async (fields) => {
    const submitted = (await (await submit(gateway, tenant.key, fields)).json()) as { id: string };
    const { prompt, ...kept } = fields;
    expect(submitted).toMatchObject(kept);
    expect(await (await read(gateway, tenant.key, submitted.id)).json()).toEqual(submitted);
    if (prompt) expect(gateway.simulator.control.tasks().at(-1)?.body.prompt).toBe(prompt);
  });

  it("links to where it was submitted, wherever it is read", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const app = createApp(gateway.config, gateway.invocation);
    const request = new Request(`https://other.example/v1/tasks/${id}`, { headers: bearer(tenant.key) });
    const response = await app.fetch(request, env, {} as ExecutionContext);
    expect(await response.json()).toMatchObject({ links: { self: `${origin}/v1/tasks/${id}` } });
  });

  it("links its pictures to the bucket's own domain where it has one, by their keys", async () => {
    const PUBLIC_IMAGE_BASE_URL = "https://pictures.shop.example";
    const custom = startGateway({ vars: { PUBLIC_IMAGE_BASE_URL }, beside: gateway });
    const { id } = await submitTask(custom, tenant.key);
    const { images } = await finishTask(custom, tenant.key, id);
    const url = new URL(images[0]?.url ?? "");
    expect(url.origin).toBe(PUBLIC_IMAGE_BASE_URL);
    expect(await storedKeys()).toContain(url.pathname.slice(1));
  });

  it("has the headers of an unfinished task until it is finished", async () => {
    const task = await submitTask(gateway, tenant.key);
    const { headers } = await read(gateway, tenant.key, task.id);
    expect(headers.get("retry-after")).toBe("3");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("etag")).toMatch(/^(W\/)?"[^"]+"$/);
    expect(headers.get("x-request-id")).toMatch(/^\S{16,}$/);

    await finishTask(gateway, tenant.key, task.id);
    const finished = await read(gateway, tenant.key, task.id);
    expect(finished.headers.get("retry-after")).toBeNull();
    expect(finished.headers.get("cache-control")).toBe("no-store");
  });

  it("shows its pictures once all of them are stored", async () => {
    const { id } = await submitTask(gateway, tenant.key, { n: 2 });
    const done = await finishTask(gateway, tenant.key, id);
    expect(done).toMatchObject({ status: "completed", progress: 100, error: null });
    expect(done.finished).toEqual(expect.any(Number));
    expect(done.results).toEqual(done.images.map((image) => image.url));
    for (const image of done.images) {
      expect(image.url).toMatch(new RegExp(`^${origin}/images/[^/]{26,}\\.png$`));
      expect(image).toEqual({
        url: image.url,
        width: 512,
        height: 512,
        bytes: expect.any(Number),
        content_type: "image/png",
      });
    }
  });

  it("that failed says why, in the gateway's words", async () => {
    const script = {
      kind: "plan",
      end: "failed",
      code: "channel_9_down",
      message: "acct-77310 {key}",
    } as const;
    gateway.simulator.control.script({ on: "submit", times: 1, do: script });
    const { id } = await submitTask(gateway, tenant.key);
    const failed = await finishTask(gateway, tenant.key, id);
    expect(failed).toMatchObject({ status: "failed", results: [], images: [] });
    expect(failed.error).toEqual({
      code: "service_unavailable",
      message: expect.stringMatching(/\S/),
      type: "task_error",
      retryable: true,
      charged: "no",
    });
    expect(failed.usage).toEqual({ images: 0, credits_held: 0, credits_charged: 0 });
    const text = await (await read(gateway, tenant.key, id)).text();
    for (const part of ["channel_9", "acct-77310", gateway.config.UPSTREAM_API_KEY])
      expect(text).not.toContain(part);
  });

  it("answers HEAD like GET, without the body", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const get = await read(gateway, tenant.key, id);
    const head = await gateway.fetch(`/v1/tasks/${id}`, { method: "HEAD", headers: bearer(tenant.key) });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect(head.headers.get("etag")).toBe(get.headers.get("etag"));
  });
});

describe("a stranger's task", () => {
  it("is like none at all, in status, headers and body", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const unknown = id.slice(0, -1) + (id.endsWith("0") ? "1" : "0");
    const foreign = await comparable(await read(gateway, stranger.key, id));
    expect(foreign).toEqual(await comparable(await read(gateway, stranger.key, unknown)));
    expect(foreign).toMatchObject({ status: 404 });
  });

  it("stays unseen under a condition that it meets", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const etag = (await read(gateway, tenant.key, id)).headers.get("etag") ?? "";
    for (const condition of [etag, "*"]) {
      const response = await read(gateway, stranger.key, id, { "if-none-match": condition });
      await expectError(response, "task_not_found");
    }
  });

  it("is not refreshed for those who may not see it", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    gateway.advance(5_000);
    const before = upstreamCalls(gateway, "GET").length;
    await read(gateway, stranger.key, id);
    expect(upstreamCalls(gateway, "GET")).toHaveLength(before);
  });

  it.each([
    "task-",
    "task-1",
    "1",
    "%00",
    "task-%F0%9F%8C%8A",
    "..%2F..%2Fkeys",
    `task-${"0".repeat(500)}`,
    "' OR 1=1 --",
  ])("may have any name that names none: %s", async (id) => {
    await expectError(await read(gateway, tenant.key, id), "task_not_found");
  });

  it("is also one that the upstream refused at once, though the operator keeps its row", async () => {
    gateway.simulator.control.script({
      on: "submit",
      times: 1,
      do: { kind: "error", status: 400, code: "content_policy_violation" },
    });
    await expectError(await submit(gateway, tenant.key), "content_policy_violation");
    const sent = upstreamCalls(gateway, "POST").at(-1)?.headers["idempotency-key"] ?? "";
    expect(sent).toMatch(/^task-/);
    await expectError(await read(gateway, tenant.key, sent), "task_not_found");
  });
});

describe("an entity tag", () => {
  const statusWith = async (id: string, condition: string) =>
    (await read(gateway, tenant.key, id, { "if-none-match": condition })).status;

  it("that still holds gets 304, without a body and with the tag", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const etag = (await read(gateway, tenant.key, id)).headers.get("etag") ?? "";
    const response = await read(gateway, tenant.key, id, { "if-none-match": etag });
    expect([response.status, await response.text()]).toEqual([304, ""]);
    expect(response.headers.get("etag")).toBe(etag);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  it("is compared weakly, in lists too", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const etag = ((await read(gateway, tenant.key, id)).headers.get("etag") ?? "").replace(/^W\//, "");
    for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, `"other",W/${etag} , "third"`, "*"]) {
      expect([condition, await statusWith(id, condition)]).toEqual([condition, 304]);
    }
    for (const condition of ['"other"', 'W/"other"', "nonsense", '""', etag.slice(1, -1)]) {
      expect([condition, await statusWith(id, condition)]).toEqual([condition, 200]);
    }
  });

  it("stays while nothing changes, and changes with the task", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const etag = async () => (await read(gateway, tenant.key, id)).headers.get("etag") ?? "";
    const first = await etag();
    gateway.advance(1_000);
    expect(await etag()).toBe(first);
    gateway.advance(4_000);
    await gateway.tick();
    const second = await etag();
    expect(second).not.toBe(first);
    await finishTask(gateway, tenant.key, id);
    expect([first, second]).not.toContain(await etag());
    expect(await statusWith(id, second)).toBe(200);
  });
});

describe("a key that is no longer good", () => {
  it("is refused from the next read on, and its tenant's other keys are not", async () => {
    const own = await gateway.makeTenant();
    const { id } = await submitTask(gateway, own.key);
    expect((await read(gateway, own.key, id)).status).toBe(200);
    const second = await gateway.admin("POST", `/tenants/${own.id}/keys`, { name: "second", kind: "secret" });
    const { key } = (await second.json()) as { key: string };
    expect((await gateway.admin("DELETE", `/tenants/${own.id}/keys/${own.keyId}`)).status).toBe(204);
    await expectError(await read(gateway, own.key, id), "invalid_key");
    await expectError(await submit(gateway, own.key), "invalid_key");
    expect((await read(gateway, key, id)).status).toBe(200);
    expect((await submit(gateway, key)).status).toBe(200);
  });

  it("is refused while its tenant is suspended, and good again afterwards", async () => {
    const own = await gateway.makeTenant();
    const { id } = await submitTask(gateway, own.key);
    await gateway.admin("PATCH", `/tenants/${own.id}`, { status: "suspended" });
    await expectError(await read(gateway, own.key, id), "tenant_suspended");
    await expectError(await submit(gateway, own.key), "tenant_suspended");
    await expectError(await read(gateway, own.key, "task-unknown"), "tenant_suspended");
    await gateway.admin("PATCH", `/tenants/${own.id}`, { status: "active" });
    expect((await read(gateway, own.key, id)).status).toBe(200);
    expect((await submit(gateway, own.key)).status).toBe(200);
  });

  it("stops nothing that it has started", async () => {
    const own = await gateway.makeTenant();
    const { id } = await submitTask(gateway, own.key);
    await gateway.admin("PATCH", `/tenants/${own.id}`, { status: "suspended" });
    for (let i = 0; i < 4; i++) {
      gateway.advance(15_000);
      await gateway.tick();
    }
    await gateway.admin("PATCH", `/tenants/${own.id}`, { status: "active" });
    expect(await (await read(gateway, own.key, id)).json()).toMatchObject({ status: "completed" });
  });
});
