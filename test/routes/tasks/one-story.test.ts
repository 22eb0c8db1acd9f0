/**
 * A caller that reads a task, waits for it, streams it by key or by link, or lists it, sees one story: all
 * that is shown of one version is the same, but for what a link hides, and for the links themselves.
 */
import { beforeEach, expect, it } from "vitest";
import {
  bearer,
  clearTasks,
  type ShownTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { read } from "../../helpers/routes.ts";

beforeEach(clearTasks);

type Teller = "read" | "wait" | "stream by key" | "stream by link";

interface Shown {
  by: Teller;
  version: number;
  body: ShownTask;
}

/** A task as the holder of a link may see it. */
function asByLink(body: ShownTask): object {
  const { input: _input, usage, links, ...shown } = body;
  const { self } = links as { self: string };
  return { ...shown, usage: { images: usage.images }, links: { self } };
}

/** A task as every reply to its key shows it: each has a link of its own to the events. */
function asByKey(body: ShownTask): object {
  const { self, events } = body.links as { self: string; events: string };
  return { ...body, links: { self, events: events.replace(/token=.+$/, "token=") } };
}

async function shownByRead(response: Response, by: Teller): Promise<Shown> {
  expect(response.status).toBe(200);
  const [, version] = /^W\/"(\d+)"$/.exec(response.headers.get("etag") ?? "") ?? [];
  return { by, version: Number(version), body: (await response.json()) as ShownTask };
}

/** A stream's first event, as a client gets it that comes and leaves again. */
async function shownByStream(response: Response, by: Teller): Promise<Shown> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    text += part.value;
    const [, version, data] = /event: task\nid: (\d+)\ndata: (.+)\n\n/.exec(text) ?? [];
    if (!version || !data) continue;
    await reader?.cancel();
    return { by, version: Number(version), body: JSON.parse(data) as ShownTask };
  }
  throw new Error("the stream has sent no event");
}

/** Asks in every way, one after the other: each may take some seconds, and the task goes on meanwhile. */
async function askAll(gateway: TestGateway, key: string, id: string, link: URL): Promise<Shown[]> {
  const events = `/v1/tasks/${id}/events`;
  return [
    await shownByRead(await read(gateway, key, id), "read"),
    await shownByRead(await read(gateway, key, id, { prefer: "wait=1" }), "wait"),
    await shownByStream(await gateway.fetch(events, { headers: bearer(key) }), "stream by key"),
    await shownByStream(await gateway.fetch(link.pathname + link.search), "stream by link"),
  ];
}

/** Brings a task to its end, asking all the way. */
async function hearAll(gateway: TestGateway, key: string, task: ShownTask): Promise<Shown[]> {
  const shown: Shown[] = [];
  const link = new URL((task.links as { events: string }).events);
  for (let rounds = 0, after = 0; rounds < 100 && after < 2; rounds++) {
    shown.push(...(await askAll(gateway, key, task.id, link)));
    gateway.advance(10_000);
    await gateway.tick();
    if (shown.at(-1)?.body.finished !== null) after++;
  }
  return shown;
}

const running = ["pending 0", "processing 0", "processing 45", "processing 99"];

it.each([
  ["completed" as const, [...running, "processing 99", "completed 100"]],
  ["failed" as const, [...running, "failed 99"]],
])("shows the same of a task that ends as %s", async (end, story) => {
  const gateway = startGateway();
  const { key } = await gateway.makeTenant();
  gateway.simulator.control.script(
    { on: "submit", do: { kind: "plan", seconds: 600, progress: "jumping", end } },
    // The pictures take some attempts.
    { on: "picture", times: 4, do: { kind: "error", status: 503, code: "busy" } },
  );
  const fields = { prompt: "a boat", metadata: { order: "7" }, end_user: "u-1" };
  const task = await submitTask(gateway, key, fields);
  const shown = await hearAll(gateway, key, task);

  const byVersion = [...Map.groupBy(shown, ({ version }) => version)].toSorted(([a], [b]) => a - b);
  const answered = byVersion.map(([, same]) => same.find(({ by }) => by === "read")?.body as ShownTask);
  expect(answered.map(({ status, progress }) => `${status} ${progress}`)).toEqual(story);
  for (const [index, [, same]] of byVersion.entries()) {
    const body = answered[index] as ShownTask;
    expect(new Set(same.map(({ by }) => by)).size).toBe(4);
    for (const one of same) {
      if (one.by === "stream by link") expect(one.body).toEqual(asByLink(body));
      else expect(asByKey(one.body)).toEqual(asByKey(body));
    }
  }
  const versions = shown.map(({ version }) => version);
  expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  // What the submit was answered with, and the list at the end, belong to the story.
  expect(asByKey(task)).toEqual(asByKey(answered[0] as ShownTask));
  const list = await gateway.fetch("/v1/tasks", { headers: bearer(key) });
  const { data } = (await list.json()) as { data: ShownTask[] };
  expect(data.map(asByKey)).toEqual([asByKey(answered.at(-1) as ShownTask)]);
});
