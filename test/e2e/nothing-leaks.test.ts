/**
 * The upstream must not show: not its key, host, task ids, links or messages, in whatever a caller or a reader
 * of logs and storage can see. The whole main job runs, with everything that tempts a gateway to pass it on.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BuiltGateway,
  read,
  type ShownTask,
  secrets,
  startBuiltGateway,
  submit,
} from "../helpers/node/built-gateway.ts";

/** Prompts that make the simulator talk: failures with links and keys in them, refusals, lost replies. */
const prompts = [
  "a plain boat [sim:seconds=0]",
  "a leak [sim:leak] [sim:seconds=0]",
  "a failure [sim:fail=channel_error] [sim:seconds=0]",
  "a refusal [sim:refuse]",
  "an account [sim:account]",
  "a balance [sim:quota]",
  "a broken reply [sim:submit-html]",
  "a lost reply [sim:reset-after] [sim:seconds=0]",
  "no id [sim:no-id]",
  "a picture that is none [sim:picture-html] [sim:seconds=0]",
  "a dead link [sim:picture-error=410] [sim:seconds=0]",
  "a detour [sim:redirect=2] [sim:seconds=0]",
  // Last, since all wait after it.
  "a busy upstream [sim:429=1] [sim:seconds=0]",
];
/** Their pictures can never be stored, so they go on for a day. */
const endless = 2;

let gateway: BuiltGateway;
const seen: string[] = [];

/** Keeps everything that a caller gets to see of a reply. */
async function keep(response: Response): Promise<Response> {
  const copy = response.clone();
  seen.push(JSON.stringify([copy.status, ...copy.headers]), await copy.text());
  return response;
}

beforeAll(async () => {
  gateway = await startBuiltGateway();
  const key = await gateway.makeKey();
  const ids: string[] = [];
  for (const prompt of prompts) {
    const response = await keep(await submit(gateway, key, { prompt, n: 2 }));
    if (response.ok) ids.push(((await response.json()) as ShownTask).id);
  }
  const { DB } = await gateway.bindings();
  for (let open = ids.length; open > endless; ) {
    await gateway.tick();
    const { results } = await DB.prepare("SELECT count(*) AS open FROM tasks WHERE open = 1").all();
    open = Number(results[0]?.open);
    for (const id of ids) {
      const task = (await (await keep(await read(gateway, key, id))).json()) as ShownTask;
      for (const url of task.results) await keep(await fetch(url));
    }
  }
  await keep(await submit(gateway, "wsk_forged", { prompt: "x" }));
  await keep(await submit(gateway, key, { prompt: "" }));
  for (const path of ["/openapi.json", "/healthz", "/readyz", "/no-such-route", "/images/img-0.png"]) {
    await keep(await fetch(`${gateway.url}${path}`));
  }
  await keep(await gateway.admin("GET", "/tenants"));
});
afterAll(() => gateway.close());

function secretsOfUpstream(): [string, string][] {
  const { host, port } = new URL(gateway.upstreamUrl);
  const ids = gateway.simulator.control.tasks().map((task): [string, string] => ["a task id", task.id]);
  return [["its key", secrets.UPSTREAM_API_KEY], ["its host", host], ["its port", `:${port}`], ...ids];
}

function expectNone(where: string, texts: string[]): void {
  const found = secretsOfUpstream().flatMap(([what, secret]) =>
    texts.filter((text) => text.includes(secret)).map((text) => `${what} in ${where}: ${text.slice(0, 200)}`),
  );
  expect(found).toEqual([]);
}

describe("nothing of the upstream shows", () => {
  it("in any reply or header", () => {
    expect(gateway.simulator.control.tasks().length).toBeGreaterThan(5);
    expect(seen.length).toBeGreaterThan(60);
    expectNone("a reply", seen);
  });

  it("in any log line, nor does a prompt or a tenant's key", () => {
    const logs = gateway.logs();
    expect(logs.length).toBeGreaterThan(40);
    expectNone("a log line", logs);
    for (const secret of [...prompts, "wsk_", secrets.ADMIN_API_KEY, secrets.KEY_SIGNING_SECRET, "img-"]) {
      expect(logs.filter((line) => line.includes(secret))).toEqual([]);
    }
  });

  it("in any stored object, its name or its metadata", async () => {
    const { IMAGES } = await gateway.bindings();
    const { objects } = await IMAGES.list({ include: ["customMetadata", "httpMetadata"] });
    expect(objects.length).toBeGreaterThanOrEqual(4);
    expectNone("an object's name or metadata", [JSON.stringify(objects)]);
    const decoder = new TextDecoder("latin1");
    for (const { key } of objects) {
      const object = await IMAGES.get(key);
      expectNone("an object", [decoder.decode(await object?.arrayBuffer())]);
    }
  });

  it("in the row of a task that has ended, its id apart, which only the operator sees", async () => {
    const { DB } = await gateway.bindings();
    const { results } = await DB.prepare("SELECT * FROM tasks WHERE open = 0").all();
    expect(results.length).toBeGreaterThan(5);
    expectNone(
      "a row",
      results.map(({ upstream_id: _operators, ...row }) => JSON.stringify(row)),
    );
  });

  it("and the key went to the API alone, never with a picture", () => {
    const calls = gateway.simulator.control.calls();
    const pictures = calls.filter((call) => call.path.startsWith("/files/"));
    expect(pictures.length).toBeGreaterThan(5);
    for (const call of pictures) {
      expect(JSON.stringify([call.path, call.headers])).not.toContain(secrets.UPSTREAM_API_KEY);
      expect(call.headers).not.toHaveProperty("authorization");
    }
  });
});
