/**
 * Streaming a task by server-sent events: every change once and in order, one end, and no way to go on with what is not
 * one's own. The events are versions of the record that a read shows.
 */
import { beforeEach, describe, expect, it } from "vitest";
import {
  bearer,
  clearTasks,
  finishTask,
  origin,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { expectError, read } from "../../helpers/routes.ts";

beforeEach(clearTasks);

interface Event {
  id: string;
  data: { id: string; status: string; progress: number; [field: string]: unknown };
}

/** Reads a stream to its end. */
async function eventsOf(response: Response): Promise<{ events: Event[]; comments: number; retry: string }> {
  const blocks = (await response.text()).split("\n\n").filter(Boolean);
  const fields = blocks.map((block) =>
    Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s))),
  );
  const events = fields
    .filter((block) => block.event === "task")
    .map((block) => ({ id: String(block.id), data: JSON.parse(String(block.data)) as Event["data"] }));
  const comments = blocks.filter((block) => block.startsWith(":")).length;
  return { events, comments, retry: String(fields[0]?.retry) };
}

async function started(prompt = "a boat [sim:seconds=20]") {
  const gateway = startGateway();
  const tenant = await gateway.makeTenant();
  const task = await submitTask(gateway, tenant.key, { prompt });
  const open = (headers: Record<string, string> = bearer(tenant.key), query = "", id = task.id) =>
    gateway.fetch(`/v1/tasks/${id}/events${query}`, { headers });
  const { events } = task.links as { events: string };
  const link = new URL(events);
  return { gateway, ...tenant, task, open, link };
}

const byLink = (gateway: TestGateway, link: URL, headers: Record<string, string> = {}) =>
  gateway.fetch(link.pathname + link.search, { headers });

describe("a task's events", () => {
  it("show it at the start, on each change, and at its end, as a read does", async () => {
    const { gateway, key, task, open } = await started();
    const response = await open();
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const { events, retry } = await eventsOf(response);
    expect(retry).toBe("3000");
    const ids = events.map(({ id }) => Number(id));
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    expect(new Set(ids).size).toBe(ids.length);
    expect(events.length).toBeGreaterThan(2);
    expect(events.map(({ data }) => data.status).filter((status) => status === "completed")).toHaveLength(1);
    const last = events.at(-1);
    expect(last?.data.status).toBe("completed");
    const { links: _signed, ...shown } = (await (await read(gateway, key, task.id)).json()) as Event["data"];
    expect(last?.data).toMatchObject(shown);
    const progress = events.map(({ data }) => data.progress);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  });

  it("end after two minutes at the latest, with signs of life on the way", async () => {
    const { gateway, open } = await started(
      "a boat [sim:seconds=900] [sim:progress=frozen] [sim:status=processing]",
    );
    const startMs = gateway.now();
    const { events, comments } = await eventsOf(await open());
    expect(gateway.now() - startMs).toBe(120_000);
    // Nothing is silent for longer than fifteen seconds.
    expect(events.length + comments).toBeGreaterThanOrEqual(8);
    expect(comments).toBeGreaterThan(0);
    expect(events.every(({ data }) => data.status !== "completed")).toBe(true);
  });

  it("go on from what the client has seen", async () => {
    const { key, open } = await started("a boat [sim:seconds=130]");
    const first = await eventsOf(await open());
    const seen = first.events.at(-1)?.id ?? "";
    const second = await eventsOf(await open({ ...bearer(key), "last-event-id": seen }));
    expect(second.events.map(({ id }) => Number(id)).every((id) => id > Number(seen))).toBe(true);
    expect(second.events.at(-1)?.data.status).toBe("completed");
    const end = second.events.at(-1)?.id ?? "";
    const over = await open({ ...bearer(key), "last-event-id": end });
    expect([over.status, await over.text()]).toEqual([204, ""]);
  });

  it("of a task that has ended are its end", async () => {
    const { gateway, key, task, open } = await started("a boat [sim:fail] [sim:seconds=0]");
    await finishTask(gateway, key, task.id);
    const { events } = await eventsOf(await open());
    expect(events).toHaveLength(1);
    expect(events[0]?.data).toMatchObject({ status: "failed", error: { code: "content_policy_violation" } });
  });

  it("stop being read when the client leaves", async () => {
    const { gateway, open } = await started("a boat [sim:seconds=900]");
    const response = await open();
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    const nowMs = gateway.now();
    await Promise.resolve();
    expect(gateway.now()).toBe(nowMs);
  });

  it("are for whose task it is", async () => {
    const { gateway, task, open } = await started();
    const other = await gateway.makeTenant();
    await expectError(await open(bearer(other.key)), "task_not_found");
    await expectError(await open({}), "missing_key");
    await expectError(await open(bearer(other.key), "", "task-none"), "task_not_found");
    expect(task.id).toBeTruthy();
  });
});

describe("a signed link", () => {
  it("streams its task from any page, and shows neither what was asked nor credits", async () => {
    const { gateway, task, link } = await started();
    const response = await byLink(gateway, link, { origin: "https://any.example" });
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    const { events } = await eventsOf(response);
    expect(events.at(-1)?.data).toMatchObject({ id: task.id, status: "completed" });
    for (const { data } of events) {
      expect(data).not.toHaveProperty("input");
      expect(JSON.stringify(data)).not.toMatch(/credits|boat|token=/);
    }
  });

  it("is good for an hour, and ends with its key", async () => {
    const { gateway, id, keyId, link, key, task } = await started();
    await finishTask(gateway, key, task.id);
    gateway.advance(3_600_000 - 60_000);
    expect((await byLink(gateway, link)).status).toBe(200);
    gateway.advance(60_000);
    await expectError(await byLink(gateway, link), "invalid_key");
    const fresh = new URL(
      ((await (await read(gateway, key, task.id)).json()) as { links: { events: string } }).links.events,
    );
    expect((await byLink(gateway, fresh)).status).toBe(200);
    await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`);
    await expectError(await byLink(gateway, fresh), "invalid_key");
  });

  it("that is open when its key is revoked ends at the next read", async () => {
    const { gateway, id, keyId, link } = await started();
    const response = await byLink(gateway, link);
    await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`);
    const { events } = await eventsOf(response);
    expect(events.map(({ data }) => (data as { status: string }).status)).toEqual(["pending"]);
  });

  it("opens nothing else", async () => {
    const { gateway, key, link, task } = await started();
    const other = await submitTask(gateway, key);
    const token = link.searchParams.get("token") ?? "";
    await expectError(await gateway.fetch(`/v1/tasks/${other.id}/events?token=${token}`), "invalid_key");
    await expectError(await gateway.fetch(`/v1/tasks/${task.id}?token=${token}`), "missing_key");
    const bad = [
      "",
      "x",
      `${token}0`,
      token.slice(0, -1),
      token.replace(/\d{10}/, "9999999999"),
      token.toUpperCase(),
    ];
    for (const text of bad) {
      const response = await gateway.fetch(`/v1/tasks/${task.id}/events?token=${encodeURIComponent(text)}`);
      await expectError(response, "invalid_key");
    }
    const asKey = await gateway.fetch(`/v1/tasks/${task.id}`, { headers: { ...bearer(token), origin } });
    await expectError(asKey, "invalid_key");
  });
});
