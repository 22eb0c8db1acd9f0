/**
 * Deliveries whose task is archived: those that wait for up to 77 hours, and those of the log that are retried. They are sent as
 * if the task were in D1, and what is erased, switched off or unavailable meanwhile stays so.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { restoreArchive } from "../../../src/flows/archive/restore-archive.ts";
import { writePart } from "../../../src/flows/archive/write-part.ts";
import { dayMs, rowsInDatabase } from "../../helpers/archived.ts";
import { type Around, bearer, finishTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { hook, hookOrigin, startWithReceiver } from "../../helpers/webhook-receiver.ts";

beforeEach(emptyStores);

const callback = `${hookOrigin}/one`;
const rowOf = (id: string) =>
  env.DB.prepare("SELECT state, attempts, last_problem FROM deliveries WHERE id = ?1").bind(id).first();

/** A task that has ended, with a delivery of each kind. */
async function start() {
  const before: { call?: ((name: string) => Promise<unknown>) | undefined } = {};
  const around: Around = async (name, call) => {
    await before.call?.(name);
    return call();
  };
  const world = startWithReceiver();
  const hosts = world.hosts;
  const gateway = startGateway({ beside: world.gateway, hosts, around });
  const tenant = await gateway.makeTenant({ webhook: { url: hook } });
  const { id } = await submitTask(gateway, tenant.key, { callback_url: callback });
  const ids = { webhook: `msg-${id.slice(5)}-w`, callback: `msg-${id.slice(5)}-c` };
  const finish = () => finishTask(gateway, tenant.key, id);
  const archive = async () => {
    gateway.advance(dayMs);
    const read = env.DB.prepare("SELECT * FROM tasks WHERE tenant_id = ?1").bind(tenant.id);
    const rows = (await read.all<{ id: string }>()).results;
    expect(await writePart(gateway.invocation(), tenant.id, rows, { part: undefined, rows })).toBe(true);
    expect(await rowsInDatabase(tenant.id)).toBe(0);
  };
  const retry = async (delivery: string) => {
    expect((await gateway.admin("POST", `/webhooks/${delivery}/retry`)).status).toBe(202);
    gateway.advance(60_000);
    await gateway.tick();
  };
  return { ...world, gateway, tenant, id, ids, finish, archive, retry, before };
}

describe("a delivery of the log whose task is archived", () => {
  it.each(["webhook", "callback"] as const)("is sent as before when it is retried: %s", async (kind) => {
    const { received, ids, finish, archive, retry } = await start();
    await finish();
    const first = received.find(({ id }) => id === ids[kind]);
    await archive();
    const sent = received.length;
    await retry(ids[kind]);
    expect(received.slice(sent)).toEqual([{ ...first, atMs: expect.any(Number) }]);
    expect(await rowOf(ids[kind])).toMatchObject({ state: "delivered", attempts: 1 });
  });

  it("is attempted again while R2 is out, and its endpoint is not blamed", async () => {
    const { gateway, tenant, received, ids, finish, archive, retry, before } = await start();
    await finish();
    await archive();
    const sent = received.length;
    before.call = async (name) => {
      if (name === "R2 get") throw new Error("R2 is out");
    };
    await retry(ids.webhook);
    expect(await rowOf(ids.webhook)).toMatchObject({
      state: "pending",
      last_problem: "its task could not be read",
    });
    const failures = () => env.DB.prepare("SELECT failures FROM endpoints").all();
    expect((await failures()).results).toEqual([]);
    // Nor is one that fails taken for one that works.
    await env.DB.prepare(
      "INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms) VALUES (?1, 'webhook', 3, 0)",
    )
      .bind(tenant.id)
      .run();
    gateway.advance(300_000);
    await gateway.tick();
    expect(await rowOf(ids.webhook)).toMatchObject({ state: "pending" });
    expect((await failures()).results).toEqual([{ failures: 3 }]);
    before.call = undefined;
    gateway.advance(2 * 3_600_000);
    await gateway.tick();
    expect(received.slice(sent).map(({ id }) => id)).toEqual([ids.webhook]);
    expect(await rowOf(ids.webhook)).toMatchObject({ state: "delivered", last_problem: null });
  });

  it("is sent though the task is in D1 again by then", async () => {
    const { gateway, tenant, received, ids, finish, archive, retry } = await start();
    await finish();
    await archive();
    const sent = received.length;
    const by = { actor: "admin", requestId: "req-restore" };
    // What D1 is asked for once the claim has found no task.
    const { batch } = env.DB;
    env.DB.batch = async <T>(statements: D1PreparedStatement[]) => {
      const results = await batch.call(env.DB, statements);
      const isClaimed = results[0]?.results.some(
        (row) => (row as { webhook_secret?: string }).webhook_secret,
      );
      if (isClaimed) {
        env.DB.batch = batch;
        const whole = { fromMs: 0, toMs: gateway.now() };
        expect(await restoreArchive(gateway.invocation(), by, tenant.id, whole)).toMatchObject({ tasks: 1 });
      }
      return results as D1Result<T>[];
    };
    await retry(ids.webhook);
    expect(await rowsInDatabase(tenant.id)).toBe(1);
    expect(received.slice(sent).map(({ id }) => id)).toEqual([ids.webhook]);
  });

  it("is dropped where the task is erased", async () => {
    const { gateway, tenant, id, received, ids, finish, archive, retry } = await start();
    await finish();
    await archive();
    const erased = await gateway.fetch(`/v1/tasks/${id}`, { method: "DELETE", headers: bearer(tenant.key) });
    expect(erased.status).toBe(204);
    const sent = received.length;
    for (const one of Object.values(ids)) await retry(one);
    expect(received).toHaveLength(sent);
    expect(await rowOf(ids.webhook)).toMatchObject({ state: "dropped" });
    expect(await rowOf(ids.callback)).toMatchObject({ state: "dropped" });
  });

  it("is dropped where the task is nowhere", async () => {
    const { received, ids, finish, retry } = await start();
    await finish();
    await env.DB.prepare("DELETE FROM tasks").run();
    const sent = received.length;
    for (const one of Object.values(ids)) await retry(one);
    expect(received).toHaveLength(sent);
    expect(await rowOf(ids.webhook)).toMatchObject({ state: "dropped" });
    expect(await rowOf(ids.callback)).toMatchObject({ state: "dropped" });
  });

  it("is sent to a callback that has answered 410 where it is retried, and whose 410 switches it off again", async () => {
    const { received, ids, finish, archive, retry, answers } = await start();
    answers(({ url }) => (url === callback ? 410 : 200));
    await finish();
    expect(await rowOf(ids.callback)).toMatchObject({ state: "dropped" });
    await archive();
    const sent = received.length;
    await retry(ids.callback);
    expect(received.slice(sent).map(({ id }) => id)).toEqual([ids.callback]);
    expect(await rowOf(ids.callback)).toMatchObject({ state: "dropped" });
    const gone = await env.DB.prepare("SELECT url, reason FROM gone_urls").all();
    expect(gone.results).toEqual([{ url: callback, reason: "gone" }]);
  });
});

describe("a delivery that waits while its task is archived", () => {
  it("is sent to both, and reads R2 for no task that D1 has", async () => {
    const { gateway, received, ids, finish, archive, answers, before } = await start();
    const reads: string[] = [];
    before.call = async (name) => {
      if (name === "R2 get") reads.push(name);
    };
    answers(() => 500);
    await finish();
    const first = received.filter(({ id }) => id === ids.webhook).at(-1);
    gateway.advance(30_000);
    await gateway.tick();
    expect(reads).toEqual([]);
    await archive();
    reads.length = 0;
    answers(() => 200);
    const sent = received.length;
    await gateway.tick();
    expect(
      received
        .slice(sent)
        .map(({ id, url }) => [id, url])
        .toSorted(),
    ).toEqual([
      [ids.callback, callback],
      [ids.webhook, hook],
    ]);
    expect(received.at(-1)?.body.data ?? received.at(-1)?.body).toEqual(first?.body.data);
    expect(reads).toHaveLength(2);
  });

  it.each([callback, `${hookOrigin}/*`])(
    "is dropped where its callback was switched off meanwhile: %s",
    async (url) => {
      const { gateway, tenant, received, ids, finish, archive, answers } = await start();
      answers(() => 500);
      await finish();
      await archive();
      await env.DB.prepare("INSERT INTO gone_urls (tenant_id, url, at_ms) VALUES (?1, ?2, ?3)")
        .bind(tenant.id, url, gateway.now())
        .run();
      answers(() => 200);
      const sent = received.length;
      await gateway.tick();
      expect(received.slice(sent).map(({ id }) => id)).toEqual([ids.webhook]);
      expect(await rowOf(ids.callback)).toMatchObject({ state: "dropped" });
    },
  );

  it("is sent nothing where its tenant is deleted", async () => {
    const { gateway, tenant, received, finish, archive, answers, ids } = await start();
    answers(() => 500);
    await finish();
    await archive();
    expect((await gateway.admin("DELETE", `/tenants/${tenant.id}`)).status).toBeLessThan(300);
    const sent = received.length;
    await gateway.tick();
    expect(received).toHaveLength(sent);
    expect(await rowOf(ids.callback)).toMatchObject({ state: "dropped" });
  });
});
