/**
 * Uploads over their whole life: a process that dies at any call leaves nothing that is not counted, and nothing beyond a
 * file's end; cron deletes what has expired; erasing takes files along.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { fileLifeMs } from "../../../src/domain/uploads.ts";
import {
  countFiles,
  draw,
  fileOf,
  left,
  pathOf,
  type ShownFile,
  storedFiles,
  upload,
} from "../../helpers/files.ts";
import { bearer, finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { mortal, type Side } from "../../helpers/mortal.ts";
import { mintToken, page } from "../../helpers/page-visitor.ts";
import { expectError } from "../../helpers/routes.ts";
import { emptyStores } from "../../helpers/setup.ts";

beforeEach(async () => {
  await emptyStores();
});

const all = { bytes: 1_073_741_824, files: 200 };
const hourMs = 3_600_000;
const remove = (gateway: TestGateway, key: string, path: string) =>
  gateway.fetch(path, { method: "DELETE", headers: bearer(key) });
/** Bytes that lie in R2; tombstones have none. */
const storedBytes = async () => (await storedFiles()).reduce((sum, { size }) => sum + size, 0);

async function expectNothingLeft(gateway: TestGateway, tenantId: string) {
  expect(await left(gateway, tenantId)).toMatchObject(all);
  expect(await countFiles()).toBe(0);
  expect(await storedFiles()).toEqual([]);
  expect((await gateway.invocation().tenant(tenantId).check()).problems).toEqual([]);
}

async function start() {
  const gateway = startGateway();
  const tenant = await gateway.makeTenant();
  const picture = await draw("png");
  const keep = async (key = tenant.key, headers = {}) => fileOf(await upload(gateway, key, picture, headers));
  return { gateway, ...tenant, picture, keep };
}

type World = Awaited<ReturnType<typeof start>>;

/** What a process does that may die, and how many calls it makes. */
const deeds: [string, string[], (victim: TestGateway, world: World, file: ShownFile) => Promise<unknown>][] =
  [
    [
      "uploads",
      ["object admitFile", "object keepFile", "D1", "R2 put"],
      (victim, { key, picture }) => upload(victim, key, picture),
    ],
    [
      "deletes",
      ["D1", "D1", "R2 put", "object dropFile", "D1"],
      (victim, { key }, file) => remove(victim, key, `/v1/files/${file.id}`),
    ],
  ];

const deaths = deeds.flatMap(([what, steps, deed]) =>
  steps.flatMap((step, index) =>
    (["before", "after"] as const).map((side: Side) => ({ what, step, dieAt: index + 1, side, steps, deed })),
  ),
);

describe("a process that", () => {
  it.each(deeds)("%s makes these calls: %j", async (_what, steps, deed) => {
    const world = await start();
    const { process, around } = mortal();
    await deed(startGateway({ around, beside: world.gateway }), world, await world.keep());
    expect(process.steps).toEqual(steps);
  });

  it.each(deaths)("$what and dies $side call $dieAt ($step)", async ({ what, dieAt, side, deed }) => {
    const world = await start();
    const { gateway, id, picture } = world;
    const file = await world.keep();
    const { process, around } = mortal(dieAt, side);
    const reply = await deed(startGateway({ around, beside: gateway }), world, file).catch(() => undefined);
    expect(process.dead).toBe(true);
    if (reply instanceof Response) expect(reply.status).toBeGreaterThanOrEqual(500);
    const counted = async () => all.bytes - ((await left(gateway, id)).bytes ?? 0);
    expect(await counted()).toBeGreaterThanOrEqual(await storedBytes());

    gateway.advance(16 * 60_000);
    await gateway.tick();
    expect(await counted()).toBeGreaterThanOrEqual(await storedBytes());
    if (what === "uploads") {
      // One that died before its body was counted as a file was none.
      const none = dieAt === 1 || (dieAt === 2 && side === "before");
      expect(await left(gateway, id)).toMatchObject({ files: none ? 199 : 198 });
      expect(await counted()).toBe(none ? picture.length : 2 * picture.length);
      expect((await gateway.fetch(pathOf(file))).status).toBe(200);
    } else {
      const untouched = dieAt === 1 || (dieAt === 2 && side === "before");
      expect((await gateway.fetch(pathOf(file))).status).toBe(untouched ? 200 : 404);
      expect(await counted()).toBe(untouched ? picture.length : 0);
    }
    gateway.advance(fileLifeMs);
    await gateway.tick();
    await expectNothingLeft(gateway, id);
  });
});

it("an upload that comes once its place is held no more is given up, and nothing of it is kept", async () => {
  const { gateway, id, key, picture } = await start();
  const slow = startGateway({
    beside: gateway,
    async around(name, call) {
      const result = await call();
      if (name === "object admitFile") gateway.advance(15 * 60_000);
      return result;
    },
  });
  await expectError(await upload(slow, key, picture), "unavailable");
  await expectNothingLeft(gateway, id);
});

describe("cron", () => {
  it("deletes files at their end, not before, and as often as it comes", async () => {
    const { gateway, id, keep } = await start();
    const first = await keep();
    gateway.advance(hourMs);
    const second = await keep();
    gateway.advance(fileLifeMs - hourMs - 1);
    await gateway.tick();
    expect(await countFiles()).toBe(2);
    gateway.advance(1);
    await Promise.all([gateway.tick(), gateway.tick()]);
    expect((await storedFiles()).map(({ key }) => key)).toEqual([`files/${second.id}`]);
    await expectError(await gateway.fetch(pathOf(first)), "not_found");
    expect((await gateway.fetch(pathOf(second))).status).toBe(200);
    gateway.advance(hourMs);
    await gateway.tick();
    await gateway.tick();
    await expectNothingLeft(gateway, id);
  });

  it.each(["before", "after"] as const)("that dies %s any call of it comes again", async (side) => {
    for (let dieAt = 1; dieAt <= 8; dieAt++) {
      const { gateway, id, keep } = await start();
      await keep();
      gateway.advance(fileLifeMs);
      const { around } = mortal(dieAt, side);
      await startGateway({ around, beside: gateway })
        .tick()
        .catch(() => undefined);
      gateway.advance(60_000);
      await gateway.tick();
      await expectNothingLeft(gateway, id);
    }
  });

  it("and a storer that comes late do not bring an erased file back", async () => {
    const { gateway, id, key, picture } = await start();
    const token = await mintToken(gateway, key, { end_user: "ada" });
    let erased = false;
    const around = async <T>(name: string, call: () => Promise<T>): Promise<T> => {
      if (name === "R2 put" && !erased) {
        erased = true;
        await remove(gateway, key, "/v1/end-users/ada");
      }
      return call();
    };
    const slow = startGateway({ around, beside: gateway });
    await expectError(await upload(slow, token, picture, page), "unavailable");
    expect(await storedBytes()).toBe(0);
    expect(await left(gateway, id)).toMatchObject({ bytes: all.bytes });
    gateway.advance(fileLifeMs);
    await gateway.tick();
    expect([await countFiles(), await storedFiles()]).toEqual([0, []]);
  });
});

describe("erasing", () => {
  it("a task takes the files along that it was made from, and no others", async () => {
    const { gateway, id, key, picture, keep } = await start();
    const [used, also, other] = [await keep(), await keep(), await keep()];
    const urls = [used.url, `${also.url}?x=1`];
    const task = await submitTask(gateway, key, { image_urls: urls });
    await finishTask(gateway, key, task.id);
    expect((await remove(gateway, key, `/v1/tasks/${task.id}`)).status).toBe(204);
    for (const file of [used, also]) await expectError(await gateway.fetch(pathOf(file)), "not_found");
    expect((await gateway.fetch(pathOf(other))).status).toBe(200);
    expect(await left(gateway, id)).toMatchObject({ bytes: all.bytes - picture.length });
  });

  it("another tenant's task takes nothing along, whatever it names", async () => {
    const { gateway, keep } = await start();
    const file = await keep();
    const stranger = await gateway.makeTenant();
    const elsewhere = `https://other.example${pathOf(file)}`;
    const task = await submitTask(gateway, stranger.key, { image_urls: [elsewhere] });
    await finishTask(gateway, stranger.key, task.id);
    expect((await remove(gateway, stranger.key, `/v1/tasks/${task.id}`)).status).toBe(204);
    expect((await gateway.fetch(pathOf(file))).status).toBe(200);
  });

  it("a task leaves what an unfinished one still needs, and what another end user uploaded", async () => {
    const { gateway, key, keep } = await start();
    const bobs = await mintToken(gateway, key, { end_user: "bob" });
    const [shared, his] = [await keep(), await keep(bobs, page)];
    const image_urls = [shared.url, his.url];
    const first = await submitTask(gateway, key, { image_urls, end_user: "ada" });
    await finishTask(gateway, key, first.id);
    const second = await submitTask(gateway, key, { image_urls: [shared.url], end_user: "ada" });
    expect((await remove(gateway, key, `/v1/tasks/${first.id}`)).status).toBe(204);
    for (const file of [shared, his]) expect((await gateway.fetch(pathOf(file))).status).toBe(200);
    await finishTask(gateway, key, second.id);
    expect((await remove(gateway, key, `/v1/tasks/${second.id}`)).status).toBe(204);
    await expectError(await gateway.fetch(pathOf(shared)), "not_found");
    expect((await gateway.fetch(pathOf(his))).status).toBe(200);
  });

  it("an end user takes along what that person uploaded, and what was used for that person", async () => {
    const { gateway, key, keep } = await start();
    const token = await mintToken(gateway, key, { end_user: "ada" });
    const bobs = await mintToken(gateway, key, { end_user: "bob" });
    const [hers, his, used] = [await keep(token, page), await keep(bobs, page), await keep()];
    const task = await submitTask(gateway, key, { image_urls: [used.url], end_user: "ada" });
    await finishTask(gateway, key, task.id);
    expect((await remove(gateway, key, "/v1/end-users/ada")).status).toBe(202);
    for (const file of [hers, used]) await expectError(await gateway.fetch(pathOf(file)), "not_found");
    expect((await gateway.fetch(pathOf(his))).status).toBe(200);
    const { results } = await env.DB.prepare("SELECT * FROM files WHERE erasure <> 'none'").all();
    expect(JSON.stringify(results)).not.toContain("ada");
  });

  it("a tenant takes all of its files along", async () => {
    const { gateway, id, keep } = await start();
    const files = [await keep(), await keep()];
    expect((await gateway.admin("DELETE", `/tenants/${id}`)).status).toBe(202);
    await gateway.tick();
    for (const file of files) await expectError(await gateway.fetch(pathOf(file)), "not_found");
    expect(await storedBytes()).toBe(0);
  });

  it("by age takes along what is older than the tenant wants to keep", async () => {
    const { gateway, id, keep } = await start();
    const file = await keep();
    await gateway.admin("PATCH", `/tenants/${id}`, { retention_days: 1 });
    gateway.advance(24 * hourMs - 60_000);
    const young = await keep();
    // The next full hour.
    gateway.advance(hourMs - (gateway.now() % hourMs) + hourMs);
    await gateway.tick();
    await expectError(await gateway.fetch(pathOf(file)), "not_found");
    expect((await gateway.fetch(pathOf(young))).status).toBe(200);
  });
});
