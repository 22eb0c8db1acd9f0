/**
 * A task streamed as a page or a server does: by an `EventSource` of the market, through the task's signed link,
 * over connections that break. Whatever breaks, it sees each change once, in order, one end, and then stops by itself.
 */
import { EventSource } from "eventsource";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BuiltGateway, read, startBuiltGateway, submit } from "../helpers/node/built-gateway.ts";
import { type DroppingProxy, startProxy } from "../helpers/node/proxy.ts";

let gateway: BuiltGateway;
let proxy: DroppingProxy;

beforeAll(async () => {
  gateway = await startBuiltGateway();
  proxy = await startProxy(gateway.url);
});
afterEach(() => {
  for (const { source } of followers.splice(0)) source.close();
});
afterAll(async () => {
  await proxy.close();
  await gateway.close();
});

/** A moment of a task's life, and the version that it goes under. */
interface Moment {
  version: number;
  status: string;
  progress: number;
}

const followers: Follower[] = [];

/** An EventSource and what it has seen. */
class Follower {
  readonly source: EventSource;
  readonly seen: Moment[] = [];
  connections = 0;
  /** The status that made it give up. */
  lastStatus: number | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(link: string) {
    this.source = new EventSource(link);
    followers.push(this);
    this.source.addEventListener("open", () => {
      this.connections++;
      this.#wake();
    });
    this.source.addEventListener("error", (event) => {
      this.lastStatus = event.code;
      this.#wake();
    });
    this.source.addEventListener("task", ({ lastEventId, data }) => {
      const { status, progress } = JSON.parse(data) as Moment;
      this.seen.push({ version: Number(lastEventId), status, progress });
      this.#wake();
    });
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  hasSeen = (count: number) => this.until(() => this.seen.length >= count);
  hasGivenUp = () => this.until(() => this.source.readyState === EventSource.CLOSED);
}

/** A tenant's task of an hour, submitted through the proxy so that its links lead through it. */
async function startTask() {
  const tenant = (await (await gateway.admin("POST", "/tenants", { name: "E2E" })).json()) as { id: string };
  const keys = `/tenants/${tenant.id}/keys`;
  const made = await gateway.admin("POST", keys, { name: "e2e", kind: "secret" });
  const { id: keyId, key } = (await made.json()) as { id: string; key: string };
  const prompt = "a lighthouse [sim:seconds=3600]";
  const submitted = await submit({ ...gateway, url: proxy.url }, key, { prompt });
  const { id, links } = (await submitted.json()) as { id: string; links: { events: string } };
  const upstreamId = gateway.simulator.control.tasks().find((task) => task.idempotencyKey === id)?.id ?? "";
  return {
    id,
    key,
    link: links.events,
    upstreamId,
    revokeKey: () => gateway.admin("DELETE", `${keys}/${keyId}`),
    /** Has the gateway poll the task now, or try again to store its pictures. */
    poll: () => gateway.admin("POST", `/tasks/${id}/refresh`),
    /** The task as a read shows it. */
    async now(): Promise<Moment> {
      const response = await read(gateway, key, id);
      const { status, progress } = (await response.json()) as Moment;
      const [, version] = /^W\/"(\d+)"$/.exec(response.headers.get("etag") ?? "") ?? [];
      return { version: Number(version), status, progress };
    },
  };
}

describe("an EventSource on a task's link", () => {
  it("sees each change once and in order through two dropped connections, one end, and is then stopped", async () => {
    const { control } = gateway.simulator;
    const task = await startTask();
    const match = { task: task.upstreamId };
    const life: Moment[] = [await task.now()];
    const comesTo = async (progress: number) => {
      const json = { id: task.upstreamId, status: "processing", progress };
      control.script({ on: "read", match, do: { kind: "reply", status: 200, json } });
      await task.poll();
      life.push(await task.now());
    };
    const follower = new Follower(task.link);
    await follower.hasSeen(1);
    await comesTo(10);
    await follower.hasSeen(2);

    // In the middle of an event: what came of it counts for nothing.
    const dropped = proxy.dropBehind(`id: ${(life.at(-1)?.version ?? 0) + 1}\ndata: {"id"`);
    await comesTo(35);
    await dropped;
    expect(follower.seen).toHaveLength(2);
    await follower.hasSeen(3);
    await comesTo(60);
    await follower.hasSeen(4);

    // Between two events: what it has seen does not come again.
    proxy.drop();
    await follower.until(() => follower.connections === 3);
    await comesTo(80);
    await follower.hasSeen(5);

    control.script({ on: "read", match, do: { kind: "pass" } });
    control.script({ on: "picture", match, times: 1, do: { kind: "error", status: 503, code: "busy" } });
    control.advance(3_600_000);
    await task.poll();
    life.push(await task.now());
    await follower.hasSeen(6);
    await task.poll();
    await gateway.tick();
    life.push(await task.now());
    await follower.hasGivenUp();

    expect(follower.seen).toEqual(life);
    expect(life.map(({ status, progress }) => `${status} ${progress}`)).toEqual([
      "pending 0",
      "processing 10",
      "processing 35",
      "processing 60",
      "processing 80",
      "processing 99",
      "completed 100",
    ]);
    expect(life.every(({ version }, index) => index === 0 || version > (life[index - 1]?.version ?? 0))).toBe(
      true,
    );
    expect([follower.connections, follower.lastStatus]).toEqual([3, 204]);
  });

  it("gives up at once when the link is not the gateway's, or another task's", async () => {
    const task = await startTask();
    const other = await startTask();
    const token = new URL(task.link).searchParams.get("token") ?? "";
    const changed = token.endsWith("0") ? `${token.slice(0, -1)}1` : `${token.slice(0, -1)}0`;
    const bad = [
      task.link.replace(token, changed),
      task.link.replace(token, ""),
      other.link.replace(/token=.*/, `token=${token}`),
      task.link.replace(task.id, "task-none"),
    ];
    for (const link of bad) {
      const follower = new Follower(link);
      await follower.hasGivenUp();
      expect([follower.lastStatus, follower.connections, follower.seen]).toEqual([401, 0, []]);
    }
  });

  it("is refused when it comes back after the key was revoked that issued the link", async () => {
    const task = await startTask();
    const follower = new Follower(task.link);
    await follower.hasSeen(1);
    await task.revokeKey();
    proxy.drop();
    await follower.hasGivenUp();
    expect([follower.lastStatus, follower.connections, follower.seen.length]).toEqual([401, 1, 1]);
  });
});
