/** Limits of uploads: exact however many come at once, and a refusal, or an upload that came to nothing, leaves no trace. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import type { Tenant } from "../../../src/tenant/object.ts";
import { type Bytes, countFiles, draw, fileOf, left, storedFiles, upload } from "../../helpers/files.ts";
import { startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { mintToken, page } from "../../helpers/page-visitor.ts";
import { type Code, expectError, makeKey } from "../../helpers/routes.ts";

const quota = 37;
const parallel = 200;
const none = { requests_per_minute: null, files_per_day: null, file_bytes: null };
const hourMs = 3_600_000;

let picture = new Uint8Array() as Bytes;
beforeAll(async () => {
  picture = await draw("png");
});

const limits: [string, (size: number) => object, Code][] = [
  ["requests a minute", () => ({ requests_per_minute: quota }), "rate_limited"],
  ["files a day", () => ({ files_per_day: quota }), "quota_exceeded"],
  ["bytes of files", (size) => ({ file_bytes: quota * size + size - 1 }), "quota_exceeded"],
];

/** A tenant, or one of its keys, with this limit alone. */
async function keyWith(gateway: TestGateway, whose: string, own: object) {
  const tenant = await gateway.makeTenant({ limits: whose === "tenant" ? { ...none, ...own } : none });
  if (whose === "tenant") return tenant;
  return { ...tenant, key: (await makeKey(gateway, tenant.id, { limits: own })).key };
}

const uploadMany = (gateway: TestGateway, key: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => upload(gateway, key, picture)));

describe.each(["tenant", "key"])("of a %s", (whose) => {
  it.each(limits)("%s admit exactly as many of parallel uploads", async (_name, own, code) => {
    const gateway = startGateway();
    const before = { rows: await countFiles(), objects: (await storedFiles()).length };
    const { key } = await keyWith(gateway, whose, own(picture.length));
    const replies = await uploadMany(gateway, key, parallel);
    const taken = replies.filter(({ status }) => status === 201);
    expect(taken).toHaveLength(quota);
    for (const reply of replies) {
      if (reply.status === 201) continue;
      expect(Number(reply.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(reply.headers.get("ratelimit")).toMatch(/"images";r=60/);
      await expectError(reply, code);
    }
    expect((await countFiles()) - before.rows).toBe(quota);
    expect((await storedFiles()).length - before.objects).toBe(quota);
  });

  it.each(limits)("%s name the moment at which the same upload is taken", async (_name, own, code) => {
    const gateway = startGateway();
    const { key } = await keyWith(gateway, whose, own(picture.length));
    await fileOf(await upload(gateway, key, picture));
    gateway.advance(1_000);
    await uploadMany(gateway, key, quota);
    const refused = await upload(gateway, key, picture);
    const seconds = Number(refused.headers.get("retry-after"));
    await expectError(refused, code);
    gateway.advance((seconds - 1) * 1000);
    await expectError(await upload(gateway, key, picture), code);
    gateway.advance(1000);
    await fileOf(await upload(gateway, key, picture));
  });
});

describe("the counters of files", () => {
  it("survive the eviction of the tenant's object", async () => {
    const gateway = startGateway();
    const { id, key } = await gateway.makeTenant({ limits: { ...none, files_per_day: quota } });
    await uploadMany(gateway, key, 20);
    await evictDurableObject((env.TENANTS as unknown as DurableObjectNamespace<Tenant>).getByName(id));
    const replies = await uploadMany(gateway, key, 40);
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(quota - 20);
  });

  it("hold the declared length while a body comes, and the stored bytes afterwards", async () => {
    const gateway = startGateway();
    const { id, key } = await gateway.makeTenant({ limits: { file_bytes: 50_000_000 } });
    const { promise, resolve } = Promise.withResolvers<void>();
    let begun = false;
    const stream = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          begun = true;
          await promise;
          controller.enqueue(picture);
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const reply = gateway.fetch("/v1/files", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "image/png" },
      body: stream,
    });
    await expect.poll(() => begun).toBe(true);
    expect(await left(gateway, id)).toMatchObject({ bytes: 50_000_000 - 20 * 1_048_576, files: 199 });
    resolve();
    await fileOf(await reply);
    expect(await left(gateway, id)).toMatchObject({ bytes: 50_000_000 - picture.length, files: 199 });
  });

  it("give the bytes back at the file's end and when it is deleted, and the day's files at midnight", async () => {
    const gateway = startGateway();
    const { id, key } = await gateway.makeTenant({ limits: { file_bytes: 1_000_000 } });
    const [first] = [await fileOf(await upload(gateway, key, picture)), await upload(gateway, key, picture)];
    const removed = await gateway.fetch(`/v1/files/${first.id}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${key}` },
    });
    expect([removed.status, await removed.text()]).toEqual([204, ""]);
    expect(await left(gateway, id)).toMatchObject({ bytes: 1_000_000 - picture.length, files: 198 });
    gateway.advance(24 * hourMs);
    expect(await left(gateway, id)).toMatchObject({ bytes: 1_000_000 - picture.length, files: 200 });
    gateway.advance(48 * hourMs - 1);
    expect(await left(gateway, id)).toMatchObject({ bytes: 1_000_000 - picture.length });
    gateway.advance(1);
    expect(await left(gateway, id)).toMatchObject({ bytes: 1_000_000 });
  });

  it("count what a key has uploaded before it was given a limit", async () => {
    const gateway = startGateway();
    const { id, key } = await gateway.makeTenant({ limits: none });
    const other = await makeKey(gateway, id, {});
    await uploadMany(gateway, other.key, 3);
    expect((await gateway.invocation().tenant(id).check()).problems).toEqual([]);
    await uploadMany(gateway, key, 2);
    expect((await gateway.invocation().tenant(id).check()).problems).toEqual([]);
  });
});

describe("an upload that never fits", () => {
  it("is refused for good, since no waiting helps", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({ limits: { file_bytes: picture.length - 1 } });
    expect(await expectError(await upload(gateway, key, picture), "invalid_request", "file")).toMatch(
      /file_bytes/,
    );
  });

  it("is known to fit only when it says how long it is, or turns out to", async () => {
    const gateway = startGateway();
    const { id, key } = await gateway.makeTenant({ limits: { file_bytes: picture.length } });
    const chunked = (bytes: Bytes) =>
      gateway.fetch("/v1/files", {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "image/png" },
        body: new Blob([bytes]).stream(),
      });
    const longer = new Uint8Array([...picture, 0]);
    await expectError(await chunked(longer), "invalid_request", "file");
    expect(await left(gateway, id)).toMatchObject({ bytes: picture.length, files: 200 });
    await fileOf(await chunked(picture));
    expect(await left(gateway, id)).toMatchObject({ bytes: 0, files: 199 });
  });
});

it("shows a client token its own part of its tenant's limits alone", async () => {
  const gateway = startGateway();
  const { key } = await gateway.makeTenant();
  const token = await mintToken(gateway, key);
  const { headers } = await upload(gateway, token, picture, page);
  expect(headers.get("ratelimit")).toMatch(/^"images";r=6;t=0, "requests";r=59;t=1, "tasks";r=2$/);
});
