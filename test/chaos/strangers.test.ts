/**
 * Hostile strangers, visitors and a hostile tenant at once: bodies that lie about their length and never come, storms by
 * forged and revoked keys, guesses at pictures, streams by the hundred, visitors whose prompts are refused. Their neighbour,
 * who submits, reads and uploads meanwhile, is refused nothing, and bodies take 64 MB of the isolate at the most.
 */
import { beforeEach, expect, it } from "vitest";
import { type Taken, usedBytes } from "../../src/platform/byte-memory.ts";
import { moneyOf } from "../helpers/credits.ts";
import { draw, upload } from "../helpers/files.ts";
import { bearer, startGateway, submitTask } from "../helpers/gateway.ts";
import { openAiEdits } from "../helpers/openai-edits.ts";
import { makeBrowserKey, mintToken, submitFrom } from "../helpers/page-visitor.ts";
import { makeKey, read, submit } from "../helpers/routes.ts";
import { startAnew } from "../helpers/setup.ts";

beforeEach(startAnew);

const mebibyte = 1_048_576;
const noLimits = {
  ...{ requests_per_minute: null, images_per_minute: null, concurrent_tasks: null },
  ...{ refusals_per_day: null, files_per_day: null, file_bytes: null },
};

/** The memory of bodies, and the most that was taken whenever it changed. */
function measuredMemory() {
  let most = 0;
  const memory = new Set<Taken>();
  const { add } = memory;
  memory.add = (one) => {
    let { bytes } = one;
    const set = (now: number) => {
      bytes = now;
      most = Math.max(most, usedBytes(memory));
    };
    Object.defineProperty(one, "bytes", { configurable: true, get: () => bytes, set });
    return add.call(memory, one);
  };
  return { memory, most: () => most };
}

it("strangers, visitors and a tenant at their worst have nothing refused to their neighbour", async () => {
  const { memory: byteMemory, most } = measuredMemory();
  const gateway = startGateway({ byteMemory });
  const hostile = await gateway.makeTenant({ limits: noLimits });
  const other = await gateway.makeTenant({ limits: noLimits });
  const neighbour = await gateway.makeTenant({ balance: 10_000 });
  const revoked = await makeKey(gateway, hostile.id, {});
  await gateway.admin("DELETE", `/tenants/${hostile.id}/keys/${revoked.id}`);
  const browser = (await makeBrowserKey(gateway, hostile.id)).key;
  const token = await mintToken(gateway, hostile.key, { max_images: 1_000 });
  const { links, id: followed } = (await submitTask(gateway, hostile.key)) as unknown as {
    links: { events: string };
    id: string;
  };
  const { pathname, search } = new URL(links.events);

  /** A body of which so much comes, and nothing more. */
  const hanging: { reply: Promise<Response>; end(): Promise<unknown> }[] = [];
  const hang = async (key: string, path: string, headers: object, bytes: number) => {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const reply = gateway.fetch(path, {
      method: "POST",
      headers: { ...bearer(key), ...headers },
      body: readable,
    });
    hanging.push({ reply, end: () => writer.abort(new Error("gone")).catch(() => undefined) });
    await writer.write(new Uint8Array(bytes)).catch(() => undefined);
  };
  const form = { "content-type": "multipart/form-data; boundary=x", "content-length": String(40 * mebibyte) };
  const image = { "content-type": "image/png" };
  const bodies = [hostile.key, other.key].flatMap((key) => [
    ...Array.from({ length: 2 }, () => hang(key, openAiEdits, form, 9 * mebibyte)),
    ...Array.from({ length: 2 }, () => hang(key, "/v1/files", image, 9 * mebibyte)),
    ...Array.from({ length: 8 }, () => hang(key, openAiEdits, form, 5)),
    ...Array.from({ length: 6 }, () => hang(key, openAiEdits, form, 4 * mebibyte)),
  ]);

  const from = { "cf-connecting-ip": "203.0.113.9" };
  const times = (count: number, one: (i: number) => Promise<Response>) =>
    Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const response = await one(i);
        // A stream that is open stays so until all is over.
        if (response.status !== 200) await response.body?.cancel();
        return response;
      }),
    );
  const get = (path: string, headers: object, method = "GET") =>
    gateway.fetch(path, { method, headers: { ...from, ...headers } });
  const storms = Promise.all([
    times(400, () => get(`/v1/tasks/${followed}`, bearer(revoked.key), "HEAD")),
    times(400, (i) =>
      get("/v1/models", {
        ...bearer(hostile.key.replace(/_[0-9a-z]{32}_/, `_${String(i).padStart(32, "0")}_`)),
        "cf-connecting-ip": "203.0.113.10",
      }),
    ),
    times(400, (i) => get(`/images/img-${String(i).padStart(26, "0")}.png`, {})),
    times(200, () => get(pathname + search, {})),
    times(40, () => submitFrom(gateway, token, { prompt: "a boat [sim:refuse]" }, from)),
    times(40, () => submitFrom(gateway, browser, { prompt: "a boat [sim:refuse]" }, from)),
    times(100, () => get("/v1/tasks", { ...bearer(hostile.key) })),
  ]);

  const picture = await draw("png");
  const seen: number[] = [];
  for (let i = 0; i < 15; i++) {
    const submitted = await submit(gateway, neighbour.key);
    const { id } = (await submitted.clone().json()) as { id: string };
    const replies = [submitted, await read(gateway, neighbour.key, id)];
    replies.push(await upload(gateway, neighbour.key, picture));
    for (const reply of replies) seen.push(reply.status);
  }
  expect(seen).toEqual(Array.from({ length: 15 }, () => [200, 200, 201]).flat());
  const replies = await storms;
  const [heads, forged, misses, streams] = replies;
  const kinds = (some: Response[]) => new Set(some.map(({ status }) => status));
  expect(kinds(heads)).toEqual(new Set([401, 429]));
  expect(kinds(forged)).toEqual(new Set([401, 429]));
  expect(kinds(misses)).toEqual(new Set([404, 429]));
  const open = streams.filter(({ status }) => status === 200);
  expect(open).toHaveLength(4);
  for (const { body } of open) await body?.cancel();
  for (const { end } of hanging) await end();
  await Promise.all([...bodies, ...hanging.map(({ reply }) => reply.catch(() => undefined))]);
  expect(most()).toBeGreaterThan(30_000_000);
  expect(most()).toBeLessThanOrEqual(64_000_000);
  expect(byteMemory.size).toBe(0);
  expect(await moneyOf(gateway, neighbour.id)).toMatchObject({ balance: 10_000, held: 15 * 30 });
}, 60_000);
