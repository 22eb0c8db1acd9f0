/** What callers get while a part of the platform does not answer: an honest error, no charge, no words of its own. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { bearer, finishTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import {
  countTasks,
  deleteTasks,
  expectError,
  expectUnknown,
  goodBody,
  rawErrorText,
  read,
  recordBindings,
  storePicture,
  submit,
  upstreamCalls,
} from "../../helpers/routes.ts";
import { objectOf } from "../../helpers/tenant-object.ts";

beforeEach(deleteTasks);

async function start() {
  const bindings = recordBindings();
  const gateway = startGateway({ around: bindings.around });
  return { gateway, bindings, ...(await gateway.makeTenant()) };
}

/** Words of the broken part's own error. */
const rawWords = rawErrorText.split(/[\s,]+/).filter((word) => word.length > 8);

function expectNoRawWords(text: string): void {
  for (const word of rawWords) expect(text).not.toContain(word);
}

describe("while the database is down", () => {
  it("a submit is taken, sent and can be read; lists, cron and charges follow when the database is back", async () => {
    const { gateway, bindings, id: tenantId, key } = await start();
    bindings.broken.add("D1");
    const headers = { ...bearer(key), "idempotency-key": "order-1" };
    const { id } = await submitTask(gateway, key);
    const first = (await (
      await gateway.post("/v1/images/generations", goodBody, headers)
    ).json()) as typeof shown;
    expect(await countTasks()).toBe(0);
    const shown = (await (await read(gateway, key, id)).json()) as { id: string; status: string };
    expect(shown).toMatchObject({ id, status: "pending", task_info: { can_cancel: false } });
    const again = await gateway.post("/v1/images/generations", goodBody, headers);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(((await again.json()) as typeof shown).id).toBe(first.id);
    const waited = await gateway.post("/v1/images/generations", goodBody, {
      ...bearer(key),
      prefer: "wait=3",
    });
    expect(((await waited.json()) as typeof shown).status).toBe("pending");
    bindings.broken.clear();
    await runDurableObjectAlarm(objectOf(tenantId));
    for (const task of [id, first.id])
      expect(await finishTask(gateway, key, task)).toMatchObject({ status: "completed" });
    expect(gateway.simulator.control.tasks()).toHaveLength(3);
  });

  it("a stream that opens right after the submit has the task", async () => {
    const { gateway, bindings, key } = await start();
    bindings.broken.add("D1");
    const { links } = (await submitTask(gateway, key)) as unknown as { links: { events: string } };
    const { pathname, search } = new URL(links.events);
    const response = await gateway.fetch(pathname + search);
    expect(response.status).toBe(200);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    await reader?.read();
    expect((await reader?.read())?.value).toContain('"status":"pending"');
    await reader?.cancel();
  });

  it("a young id that names no task is not found, or unavailable, and never another's task", async () => {
    const { gateway, bindings, key } = await start();
    const { key: foreign } = await gateway.makeTenant();
    bindings.broken.add("D1");
    const { id } = await submitTask(gateway, key);
    await expectError(await read(gateway, foreign, id), "unavailable");
    bindings.broken.clear();
    await expectError(await read(gateway, foreign, id), "task_not_found");
  });

  it("a cancel or a delete has the database know of the task first, or is unavailable", async () => {
    const { gateway, bindings, key } = await start();
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 20 } });
    bindings.broken.add("D1");
    const { id } = await submitTask(gateway, key);
    const cancel = () => gateway.post(`/v1/tasks/${id}/cancel`, undefined, bearer(key));
    const remove = () => gateway.fetch(`/v1/tasks/${id}`, { method: "DELETE", headers: bearer(key) });
    await expectError(await cancel(), "unavailable");
    await expectError(await remove(), "unavailable");
    bindings.broken.clear();
    await expectError(await remove(), "task_not_finished");
    expect(await (await cancel()).json()).toMatchObject({ id, status: "cancelled" });
  });

  it("a submit that was sent before is not said to cost nothing, and its task is named", async () => {
    const { gateway, bindings, key } = await start();
    const headers = { ...bearer(key), "idempotency-key": "order-1" };
    const first = await gateway.post("/v1/images/generations", goodBody, headers);
    const { id } = (await first.json()) as { id: string };
    bindings.broken.add("D1");
    const again = await gateway.post("/v1/images/generations", goodBody, headers);
    expect(await expectUnknown(again)).toBe(id);
  });

  it("a submit that waits is answered with its task", async () => {
    const { gateway, bindings, key } = await start();
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "plan", seconds: 600 } });
    const shaky = startGateway({
      beside: gateway,
      around: async (name, call) => {
        const result = await bindings.around(name, call);
        if (name === "fetch POST") bindings.broken.add("D1");
        return result;
      },
    });
    const headers = { ...bearer(key), prefer: "wait=20" };
    const response = await shaky.post("/v1/images/generations", goodBody, headers);
    expect(response.status).toBe(200);
    const { id, status } = (await response.json()) as { id: string; status: string };
    expect(status).toBe("pending");
    bindings.broken.clear();
    expect((await read(gateway, key, id)).status).toBe(200);
  });

  it("a read is answered with unavailable, and works again afterwards", async () => {
    const { gateway, bindings, key } = await start();
    const { id } = await submitTask(gateway, key);
    bindings.broken.add("D1");
    const response = await read(gateway, key, id);
    expectNoRawWords(await response.clone().text());
    await expectError(response, "unavailable");
    bindings.broken.clear();
    expect((await read(gateway, key, id)).status).toBe(200);
  });

  it("the operator's calls are answered with unavailable", async () => {
    const { gateway, bindings, id, keyId } = await start();
    bindings.broken.add("D1");
    const calls: [string, string, object?][] = [
      ["GET", "/tenants"],
      ["POST", "/tenants", { name: "New" }],
      ["GET", `/tenants/${id}`],
      ["PATCH", `/tenants/${id}`, { name: "Other" }],
      ["GET", `/tenants/${id}/keys`],
      ["POST", `/tenants/${id}/keys`, { name: "new", kind: "secret" }],
      ["DELETE", `/tenants/${id}/keys/${keyId}`],
    ];
    for (const [method, path, body] of calls) {
      const response = await gateway.admin(method, path, body);
      expectNoRawWords(await response.clone().text());
      await expectError(response, "unavailable");
    }
  });

  it("pictures are served as ever", async () => {
    const { gateway, bindings, key } = await start();
    const { path, bytes } = await storePicture(gateway, key, "webp");
    bindings.broken.add("D1");
    bindings.broken.add("object");
    const response = await gateway.fetch(path);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
  });
});

describe("while the tenant's object is down", () => {
  it("a submit is answered with unavailable, never let through and never called too much", async () => {
    const { gateway, bindings, key } = await start();
    bindings.broken.add("object");
    const response = await submit(gateway, key);
    expectNoRawWords(await response.clone().text());
    await expectUnknown(response);
    expect(gateway.simulator.control.calls()).toEqual([]);
    expect(await countTasks()).toBe(0);
    bindings.broken.clear();
    expect((await submit(gateway, key)).status).toBe(200);
  });

  it("tasks are read as ever, and end", async () => {
    const { gateway, bindings, key } = await start();
    const { id } = await submitTask(gateway, key);
    bindings.broken.add("object");
    expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
  });

  it("a change by the operator is not called done, and reaches the object later", async () => {
    const { gateway, bindings, key, id } = await start();
    bindings.broken.add("object");
    await expectError(await gateway.admin("PATCH", `/tenants/${id}`, { status: "suspended" }), "unavailable");
    bindings.broken.clear();
    await gateway.tick();
    await expectError(await submit(gateway, key), "tenant_suspended");
  });
});

describe("while the bucket is down", () => {
  it("a picture is answered with an error of the gateway's, whatever was asked of it", async () => {
    const { gateway, bindings, key } = await start();
    const { path } = await storePicture(gateway, key, "webp");
    bindings.broken.add("R2");
    for (const headers of [{}, { range: "bytes=0-9" }, { "if-none-match": '"other"' }]) {
      const response = await gateway.fetch(path, { headers });
      const text = await response.clone().text();
      expectNoRawWords(text);
      await expectError(response, "unavailable");
    }
    const head = await gateway.fetch(path, { method: "HEAD" });
    expect(head.status).toBe(503);
    bindings.broken.clear();
    expect((await gateway.fetch(path)).status).toBe(200);
  });

  it("a failing read of a range is not called unsatisfiable", async () => {
    const { gateway, bindings, key } = await start();
    const { path } = await storePicture(gateway, key, "webp");
    bindings.broken.add("R2 get");
    const response = await gateway.fetch(path, { headers: { range: "bytes=0-9" } });
    await expectError(response, "unavailable");
  });

  it("submits and reads work, and the task ends once it is back", async () => {
    const { gateway, bindings, key } = await start();
    bindings.broken.add("R2");
    const { id } = await submitTask(gateway, key);
    gateway.advance(15_000);
    await gateway.tick().catch(() => undefined);
    expect(await (await read(gateway, key, id)).json()).toMatchObject({ status: "processing" });
    bindings.broken.clear();
    expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
    expect(upstreamCalls(gateway, "POST")).toHaveLength(1);
  });
});

describe("a failure", () => {
  it.each(["D1", "object", "R2", "fetch"])("of %s leaves no word of its own in the log", async (part) => {
    const { gateway, bindings, key } = await start();
    const { path } = await storePicture(gateway, key, "webp");
    const { id } = await submitTask(gateway, key);
    const before = gateway.logs.length;
    gateway.advance(5_000);
    bindings.broken.add(part);
    await submit(gateway, key);
    await read(gateway, key, id);
    await gateway.fetch(path);
    await gateway.admin("GET", "/tenants");
    await gateway.tick().catch(() => undefined);
    const lines = JSON.stringify(gateway.logs.slice(before));
    for (const secret of ["internal.example", "5f2c77aa91b04d3e6c", "internal-51NfHq8d0Zk3vXw9Lb2TcYp7"]) {
      expect(lines).not.toContain(secret);
    }
  });
});
