/**
 * What a tenant's object counts of keys, tokens, addresses and files goes once all that it counted is over, and not before: a
 * key whose counters went has used nothing that still counts.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/domain/access.ts";
import { draw, upload } from "../helpers/files.ts";
import { finishTask, startGateway, submitTask } from "../helpers/gateway.ts";
import {
  admitMany,
  admitOne,
  admitted,
  beginTask,
  configure,
  freshId,
  keyOf,
  limitsOf,
  objectOf,
  requestOf,
  settle,
  stubOf,
  t0,
} from "../helpers/tenant-object.ts";

const dayMs = 86_400_000;
/** Into the next month, and as far as clocks may differ. */
const nextMonth = (atMs: number) =>
  Date.UTC(new Date(atMs).getUTCFullYear(), new Date(atMs).getUTCMonth() + 1) + 2 * dayMs;

/** The names of what is counted, and how many rows the other tables have. */
const kept = (tenantId: string) =>
  runInDurableObject(objectOf(tenantId), (_object, { storage: { sql } }) => ({
    scopes: sql
      .exec<{ scope: string }>("SELECT scope FROM scopes WHERE scope <> ''")
      .toArray()
      .map((row) => row.scope),
    tokens: Number(sql.exec("SELECT count(*) AS n FROM tokens").one().n),
    files: Number(sql.exec("SELECT count(*) AS n FROM files").one().n),
    ends: Number(sql.exec("SELECT count(*) AS n FROM early_ends").one().n),
  }));

it("keys that were made, used and revoked leave nothing, nor do their files", async () => {
  const gateway = startGateway();
  const { id, key } = await gateway.makeTenant();
  for (let i = 0; i < 3; i++) {
    const limits = { images_per_day: 5 };
    const made = await gateway.admin("POST", `/tenants/${id}/keys`, {
      name: `k${i}`,
      kind: "secret",
      limits,
    });
    const own = (await made.json()) as { id: string; key: string };
    expect((await upload(gateway, own.key, await draw("png"))).status).toBe(201);
    await finishTask(gateway, own.key, (await submitTask(gateway, own.key)).id);
    expect((await gateway.admin("DELETE", `/tenants/${id}/keys/${own.id}`)).status).toBe(204);
  }
  await finishTask(gateway, key, (await submitTask(gateway, key)).id);
  expect(await kept(id)).toMatchObject({ scopes: { length: 7 }, files: 3 });
  // To a minute at which tenants are reconciled.
  gateway.advance(600_000 - (gateway.now() % 600_000));
  for (let day = 0; day < 40; day++) {
    gateway.advance(dayMs);
    await gateway.tick();
  }
  expect(await kept(id)).toEqual({ scopes: ["files"], tokens: 0, files: 0, ends: 0 });
});

describe("a key that is gone and comes back, as when it can be read again", () => {
  const limited = async (limits: Parameters<typeof limitsOf>[0]) => {
    const id = freshId();
    let version = 1;
    const keys = [keyOf("key-a", { limits })];
    await configure(id, { limits: limitsOf({}), keys });
    return {
      id,
      ask: (nowMs: number) => ({ keyId: "key-a", keyHash: keyOf("key-a").hash, nowMs }),
      /** Upkeep at a time, while the key is not there. */
      async away(nowMs: number) {
        await configure(id, { version: ++version, limits: limitsOf({}), keys: [] });
        await stubOf(id).closeBooks(nowMs);
        await configure(id, { version: ++version, limits: limitsOf({}), keys });
      },
    };
  };

  it("has used what it had used of the month, until that is over for every clock", async () => {
    const { id, ask, away } = await limited({ images_per_month: 1 });
    const { holdNumber } = await admitOne(id, ask(t0));
    await settle(id, holdNumber, { images: 1 });
    const endMs = nextMonth(t0) - 2 * dayMs;
    for (const atMs of [t0, t0 + dayMs, endMs, endMs + dayMs]) {
      await away(atMs);
      expect(admitted(await admitMany(id, 1, ask(Math.min(atMs, endMs - 1))))).toBe(0);
    }
  });

  it("has its tasks in flight, however old they are", async () => {
    const { id, ask, away } = await limited({ concurrent_tasks: 1 });
    const { holdNumber } = await admitOne(id, ask(t0));
    await away(t0 + 400 * dayMs);
    expect(admitted(await admitMany(id, 1, ask(t0 + 400 * dayMs)))).toBe(0);
    await settle(id, holdNumber, { nowMs: t0 + 400 * dayMs });
    expect(admitted(await admitMany(id, 1, ask(t0 + 400 * dayMs)))).toBe(1);
  });

  it("has made the requests of its minute, although it has made no picture", async () => {
    const { id, ask, away } = await limited({ requests_per_minute: 1 });
    const request = () => {
      const { caller, nowMs } = requestOf(id, ask(t0));
      return { caller, nowMs, action: "submit" as const, replayValue: null };
    };
    const count = () => runInDurableObject(objectOf(id), (object) => object.countRequest(request()));
    expect(await count()).toMatchObject({ kind: "let_in" });
    await away(t0);
    expect(await count()).toMatchObject({ kind: "limited" });
  });
});

it("a token's row goes a day after its end, without another token", async () => {
  const id = freshId();
  const page = "https://app.example";
  await configure(id, {
    limits: limitsOf({}),
    keys: [keyOf("key-b", { kind: "browser", allowedOrigins: [page] })],
  });
  const token = {
    ...{ id: "tok-1", tenantId: id, keyId: "key-b", expiresMs: t0 + 3_600_000, maxImages: 5 },
    ...{ allowedOrigins: [page], models: null, endUser: null },
  };
  const caller = {
    ...{ kind: "token", tenantId: id, keyId: "key-b", keyHash: null, token },
    page: { origin: page, sameOrigin: false },
  } as Caller;
  const { holdNumber } = (await beginTask(id, { ...requestOf(id), caller })) as { holdNumber: number };
  await settle(id, holdNumber);
  await stubOf(id).closeBooks(token.expiresMs + dayMs);
  expect(await kept(id)).toMatchObject({ tokens: 1 });
  await stubOf(id).closeBooks(token.expiresMs + dayMs + 1);
  expect(await kept(id)).toMatchObject({ tokens: 0 });
});
