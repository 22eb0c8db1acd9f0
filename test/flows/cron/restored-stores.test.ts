/**
 * One store restored to an earlier time while the others go on, as `docs/operations.md` has it: what differs is named, what
 * has one right answer is repaired, no task is charged twice and no erased text stays back.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { credit, ledgerOf, moneyOf } from "../../helpers/credits.ts";
import {
  bearer,
  finishTask,
  readTask,
  startGateway,
  storedKeys,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { backUpDatabase, backUpObject } from "../../helpers/restored-stores.ts";
import { submit } from "../../helpers/routes.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { objectOf } from "../../helpers/tenant-object.ts";

const minute = 60_000;
const hour = 60 * minute;
const prompt = "a prompt that is erased";

let gateway: TestGateway;
let tenant = { id: "", key: "", keyId: "" };

beforeEach(async () => {
  await emptyStores();
  gateway = startGateway();
  tenant = await gateway.makeTenant({ balance: 1_000 });
});

interface Found {
  kind: string;
  tenant: string | null;
  subject: string | null;
  text: string;
}
async function audit(method: "GET" | "POST" = "POST"): Promise<Found[]> {
  const response = await gateway.admin(method, "/audit");
  expect(response.status).toBe(200);
  return ((await response.json()) as { data: Found[] }).data;
}
const sorted = (texts: (string | null)[]) => texts.map(String).toSorted((a, b) => (a < b ? -1 : 1));
const named = (found: Found[]) => sorted(found.map(({ kind, subject }) => `${kind} ${subject}`));

async function ended(body: object = {}): Promise<string> {
  const { id } = await submitTask(gateway, tenant.key, { prompt, ...body });
  await finishTask(gateway, tenant.key, id);
  return id;
}
async function erase(path: string): Promise<void> {
  const response = await gateway.fetch(path, { method: "DELETE", headers: bearer(tenant.key) });
  expect(response.status).toBeLessThan(300);
  gateway.advance(minute);
  await gateway.tick();
}
async function minutes(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    gateway.advance(minute);
    await gateway.tick();
  }
}
const prompts = async () =>
  sorted(
    (
      await env.DB.prepare("SELECT id FROM tasks WHERE input LIKE ?1")
        .bind(`%${prompt}%`)
        .all<{ id: string }>()
    ).results.map(({ id }) => id),
  );
/** As after hours in which cron was there each minute. */
const cronWasThere = () =>
  env.DB.prepare("INSERT OR REPLACE INTO leases (name, until_ms) VALUES ('seen', ?1), ('restored', 0)")
    .bind(gateway.now())
    .run();
const charged = async () =>
  (await ledgerOf(gateway, tenant.id)).filter(({ type }) => type === "charge").map(({ task }) => task);

describe("D1, restored to an hour before,", () => {
  it("is not taken for restored while an end user's last task still runs, whose erasure waits for it", async () => {
    await ended({ end_user: "ada" });
    await submitTask(gateway, tenant.key, { prompt: `${prompt} [sim:seconds=3000]`, end_user: "ada" });
    gateway.advance(minute);
    await erase("/v1/end-users/ada");
    await minutes(6);
    expect(await audit("GET")).toEqual([]);
  });

  it("has the text that was erased since erased again, with pictures or without, of a task or of an end user", async () => {
    const whole = await ended();
    const failed = await ended({ prompt: `${prompt} [sim:fail=generation_failed]` });
    const ofUser = [await ended({ end_user: "ada" }), await ended({ end_user: "ada" })];
    const others = [await ended({ end_user: "bob" }), await ended()];
    const restore = await backUpDatabase();
    await erase(`/v1/tasks/${whole}`);
    await erase(`/v1/tasks/${failed}`);
    await erase("/v1/end-users/ada");
    // She comes back later, and has not asked for that to be erased.
    gateway.advance(hour);
    await restore();
    const { id: again } = await submitTask(gateway, tenant.key, { prompt, end_user: "ada" });
    await gateway.invocation().tenant(tenant.id).flush();
    expect(await prompts()).toEqual(sorted([whole, failed, ...ofUser, ...others, again]));
    gateway.advance(6 * minute);
    const broughtBack = sorted([`erasure ${whole}`, `erasure ${failed}`, "erasure null"]);
    // That pictures are erased already is no reason to give credits back.
    expect(named(await audit("GET"))).toEqual(broughtBack);
    expect(await prompts()).toHaveLength(7);
    expect(named(await audit())).toEqual(broughtBack);
    await minutes(2);
    expect(await prompts()).toEqual(sorted([...others, again]));
    const response = await gateway.fetch(`/v1/tasks/${whole}`, { headers: bearer(tenant.key) });
    expect(response.status).toBe(410);
    expect(await audit()).toEqual([]);
  });

  it("has what was erased, revoked or deleted since done again by cron within minutes, of every tenant", async () => {
    const others = 12;
    const made: { id: string; key: string; keyId: string; task: string }[] = [];
    for (let i = 0; i < others; i++) {
      const one = await gateway.makeTenant();
      made.push({ ...one, task: (await submitTask(gateway, one.key, { prompt })).id });
    }
    await gateway.invocation().tenant(tenant.id).flush();
    const [ofUser, gone] = [await ended({ end_user: "ada" }), await gateway.makeTenant({ balance: 100 })];
    await cronWasThere();
    const running = await submitTask(gateway, tenant.key, { prompt });
    await minutes(1);
    const restore = await backUpDatabase();
    await finishTask(gateway, tenant.key, running.id);
    await erase("/v1/end-users/ada");
    await erase(`/v1/tasks/${running.id}`);
    await gateway.admin("DELETE", `/tenants/${gone.id}`);
    for (const { id, key, keyId, task } of made) {
      await gateway.fetch(`/v1/tasks/${task}`, { method: "DELETE", headers: bearer(key) });
      await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`);
    }
    await minutes(2);
    expect(await prompts()).toEqual([]);
    await restore();
    expect(await prompts()).toHaveLength(others + 2);
    await minutes(4);
    expect(await prompts()).toEqual([]);
    const reads = await Promise.all(
      made.map(({ key }) => gateway.fetch("/v1/tasks", { headers: bearer(key) })),
    );
    expect(new Set(reads.map(({ status }) => status))).toEqual(new Set([401]));
    const back = gateway.logs.filter(
      ({ event, text }) => event === "discrepancy" && /back/.test(String(text)),
    );
    expect(sorted(back.map(({ tenant: whose, subject }) => `${whose} ${subject}`))).toEqual(
      sorted([
        `${tenant.id} null`,
        `${tenant.id} ${running.id}`,
        `${gone.id} null`,
        ...made.flatMap(({ id, keyId, task }) => [`${id} ${keyId}`, `${id} ${task}`]),
      ]),
    );
    expect((await gateway.fetch(`/v1/tasks/${ofUser}`, { headers: bearer(tenant.key) })).status).toBe(410);
    expect((await gateway.admin("GET", `/tenants/${gone.id}`)).status).toBe(410);
  }, 60_000);

  it("costs no call of R2 while cron has been there each minute", async () => {
    const calls: string[] = [];
    const beside = startGateway({
      beside: gateway,
      around: (name, call) => {
        calls.push(name);
        return call();
      },
    });
    await ended();
    // Not when tenants are reconciled in turn.
    gateway.advance(10 * minute - (gateway.now() % (10 * minute)));
    await cronWasThere();
    gateway.advance(minute);
    await beside.tick();
    expect(calls.filter((name) => name.startsWith("R2"))).toEqual([]);
    gateway.advance(2 * minute);
    await beside.tick();
    expect(calls.filter((name) => name.startsWith("R2"))).toEqual(["R2 list"]);
  });

  it("has a revoked key revoked again, and a deleted tenant deleted", async () => {
    const made = await gateway.admin("POST", `/tenants/${tenant.id}/keys`, {
      name: "leaked",
      kind: "secret",
    });
    const leaked = (await made.json()) as { id: string; key: string };
    const gone = await gateway.makeTenant({ balance: 100 });
    const restore = await backUpDatabase();
    await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${leaked.id}`);
    expect((await gateway.admin("DELETE", `/tenants/${gone.id}`)).status).toBe(202);
    gateway.advance(hour);
    await restore();
    const found = await audit();
    expect(named(found)).toEqual(
      sorted(["settings null", "settings null", "settings null", `settings ${leaked.id}`]),
    );
    expect((await submit(gateway, leaked.key)).status).toBe(401);
    expect((await submit(gateway, tenant.key)).status).toBe(200);
    expect((await gateway.admin("GET", `/tenants/${gone.id}`)).status).toBe(410);
    gateway.advance(minute);
    expect(await audit()).toEqual([]);
  });

  it("has a tenant that was made since named, though no tasks are made there, and its ledger goes on when it is made again", async () => {
    const restore = await backUpDatabase();
    const late = await gateway.makeTenant({ balance: 500 });
    await gateway.admin("POST", `/tenants/${late.id}/credits`, {
      amount: 77,
      type: "topup",
      reference: "i-1",
    });
    gateway.advance(hour);
    await restore();
    expect((await audit()).filter(({ kind }) => kind === "settings")).toEqual([
      expect.objectContaining({ tenant: late.id, text: expect.stringContaining("was made") }),
    ]);
    expect((await submit(gateway, late.key)).status).toBe(403);
    const again = await gateway.admin("POST", "/tenants", { id: late.id, name: "late", balance: 0 });
    expect(again.status).toBe(201);
    expect(await moneyOf(gateway, late.id)).toMatchObject({ balance: 577, held: 0 });
    expect(await audit()).toEqual([]);
  });

  it("has a task named that was charged, and that failed there once more", async () => {
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "plan", seconds: 120 } });
    const { id } = await submitTask(gateway, tenant.key);
    await minutes(1);
    const restore = await backUpDatabase();
    await finishTask(gateway, tenant.key, id);
    await restore();
    // The upstream has lost it meanwhile.
    await gateway.admin("POST", `/tasks/${id}/fail`);
    await minutes(10);
    expect(await audit()).toEqual([
      expect.objectContaining({
        kind: "task",
        subject: id,
        text: "was charged 30 credits, and the database has it with 0",
      }),
    ]);
    const refund = { amount: 30, type: "refund", reference: id };
    expect((await gateway.admin("POST", `/tenants/${tenant.id}/credits`, refund)).status).toBe(200);
    expect(await audit()).toEqual([]);
  });

  it("charges no task twice, and a task that it has lost and that was charged is named with its credits", async () => {
    const { script } = gateway.simulator.control;
    script({ on: "submit", times: 1, do: { kind: "plan", seconds: 120 } });
    const running = await submitTask(gateway, tenant.key);
    await minutes(1);
    const restore = await backUpDatabase();
    await finishTask(gateway, tenant.key, running.id);
    const lost = await ended();
    const before = await moneyOf(gateway, tenant.id);
    expect(before).toMatchObject({ balance: 940, held: 0 });
    await restore();
    await minutes(10);
    expect(await readTask(gateway, tenant.key, running.id)).toMatchObject({ status: "completed" });
    expect(await audit()).toEqual([
      {
        kind: "task",
        tenant: tenant.id,
        subject: lost,
        text: expect.stringContaining("was charged 30 credits"),
      },
    ]);
    expect(await moneyOf(gateway, tenant.id)).toEqual(before);
    expect(sorted(await charged())).toEqual(sorted([running.id, lost]));
  });
});

describe("a note of what must not come back", () => {
  it("is deleted after 35 days, and does nothing then", async () => {
    const whole = await ended();
    const restore = await backUpDatabase();
    await erase(`/v1/tasks/${whole}`);
    const notes = async () =>
      (await storedKeys()).filter((key) => key.startsWith(`restore-notes/${tenant.id}`));
    expect(await notes()).toEqual([
      expect.stringMatching(new RegExp(`^restore-notes/${tenant.id}/[^/]+/${whole}$`)),
    ]);
    gateway.advance(36 * 24 * hour);
    await restore();
    await audit();
    expect(await notes()).toEqual([]);
    expect(await prompts()).toEqual([whole]);
  });
});

describe("a tenant's object, restored to an hour before,", () => {
  it("charges what has ended since once, names what it has lost, and gives no task's hold to another", async () => {
    const { script } = gateway.simulator.control;
    script({ on: "submit", times: 1, do: { kind: "plan", seconds: 120 } });
    const running = await submitTask(gateway, tenant.key);
    await minutes(1);
    const restore = await backUpObject(tenant.id);
    const lost = await ended({ n: 3 });
    await finishTask(gateway, tenant.key, running.id);
    await credit(gateway, tenant.id, { amount: 500, reference: "lost" });
    const models = ["wan-2.7-image"];
    expect((await gateway.admin("PATCH", `/tenants/${tenant.id}`, { models })).status).toBe(200);
    gateway.advance(hour);
    await restore();
    // It gets the number that the lost one had.
    const next = await submitTask(gateway, tenant.key);
    const numbers = await env.DB.prepare("SELECT hold_number AS number FROM tasks WHERE id IN (?1, ?2)")
      .bind(lost, next.id)
      .all<{ number: number }>();
    expect(new Set(numbers.results.map(({ number }) => number)).size).toBe(1);
    await finishTask(gateway, tenant.key, next.id);
    await minutes(6);
    // Its alarm and cron have settled the one that it had, and given it its settings.
    expect(named(await audit())).toEqual([`hold ${lost}`]);
    expect(
      gateway.logs.filter(({ event, kind }) => event === "discrepancy" && kind === "settings"),
    ).toHaveLength(1);
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 940, held: 0 });
    // What the audit log says that was given is given again, by the same reference: a second time changes nothing.
    for (let i = 0; i < 2; i++) await credit(gateway, tenant.id, { amount: 500, reference: "lost" });
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 1_440 });
    expect(sorted(await charged())).toEqual(sorted([running.id, next.id]));
  });
});

describe("requests that were erased since a tenant's object went back", () => {
  const fingerprinted = () =>
    runInDurableObject(objectOf(tenant.id), (_object, { storage: { sql } }) => {
      const found = "SELECT task_id AS id FROM ledger_entries WHERE fingerprint IS NOT NULL";
      return sorted(
        sql
          .exec<{ id: string }>(found)
          .toArray()
          .map(({ id }) => id),
      );
    });

  it("are erased there again by cron or the operator's audit", async () => {
    for (const mend of [() => minutes(10), () => audit()]) {
      const [one, other, stays] = [await ended(), await ended({ end_user: "someone" }), await ended()];
      const restore = await backUpObject(tenant.id);
      await erase(`/v1/tasks/${one}`);
      await erase("/v1/end-users/someone");
      expect(await fingerprinted()).toEqual(sorted([stays]));
      await restore();
      expect(await fingerprinted()).toEqual(sorted([one, other, stays]));
      expect(await audit("GET")).toEqual([]);
      expect(await fingerprinted()).toHaveLength(3);
      await mend();
      expect(await fingerprinted()).toEqual(sorted([stays]));
      expect(await audit()).toEqual([]);
      expect(gateway.logs.findLast(({ event }) => event === "erased_again")).toMatchObject({ tasks: 2 });
      await erase(`/v1/tasks/${stays}`);
    }
  });

  it("are all found by the operator's audit, by cron's some at a time, wherever they are", async () => {
    const first = await ended();
    const last = await ended();
    const restore = await backUpObject(tenant.id);
    await erase(`/v1/tasks/${first}`);
    await erase(`/v1/tasks/${last}`);
    await restore();
    const object = objectOf(tenant.id);
    const between = 40_000;
    await runInDurableObject(object, (_object, { storage: { sql } }) => {
      const newest = "(SELECT max(seq) FROM entries)";
      for (const column of ["hold_seq", "seq"])
        sql.exec(`UPDATE entries SET ${column} = ${column} + ${between} WHERE seq = ${newest}`);
      sql.exec(`UPDATE entries SET state = json_set(state, '$[3]', seq) WHERE seq = ${newest}`);
    });
    const found = async (share: number) =>
      (await runInDurableObject(object, (one) => one.keptRequests(share, 500))).map(({ id }) => id);
    expect([await found(0), await found(0.009), await found(0.5), await found(0.999)]).toEqual([
      [first],
      [first],
      [],
      [last],
    ]);
    await audit();
    expect(await fingerprinted()).toEqual([]);
  });
});

describe("R2, without pictures that it had,", () => {
  it("has each task of them named, while its tenant's figures stay", async () => {
    const [kept, lost] = [await ended(), await ended()];
    const shown = await readTask(gateway, tenant.key, lost);
    await env.IMAGES.delete(shown.results.map((url) => new URL(url).pathname.slice(1).replace(/\.\w+$/, "")));
    await minutes(6);
    for (const method of ["GET", "POST"] as const)
      expect(named(await audit(method))).toEqual([`picture ${lost}`]);
    expect(await readTask(gateway, tenant.key, kept)).toMatchObject({ status: "completed" });
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 940 });
  });
});
