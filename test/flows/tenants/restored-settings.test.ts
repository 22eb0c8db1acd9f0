/**
 * D1 restored to an earlier time: its versions are behind those that the tenants' objects have, or equal with other
 * settings. What D1 has is in force again, by the next change or by reconciliation, which lists it.
 */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { expectError, recordBindings, submit } from "../../helpers/routes.ts";
import { emptyStores } from "../../helpers/setup.ts";

let gateway: TestGateway;
let tenant = { id: "", key: "", keyId: "" };
const bindings = recordBindings();

beforeEach(async () => {
  await emptyStores();
  bindings.broken.clear();
  gateway = startGateway({ around: bindings.around });
  tenant = await gateway.makeTenant({ balance: 500 });
});

/** Puts D1's tables of tenants back to how they are now, whatever is done in between. */
async function restoreAfter(change: () => Promise<unknown>): Promise<void> {
  const rowsOf = async (table: string) => (await env.DB.prepare(`SELECT * FROM ${table}`).all()).results;
  const tables = ["tenants", "keys"];
  const before = await Promise.all(tables.map(rowsOf));
  await change();
  await env.DB.batch(
    tables.flatMap((table, index) => [
      env.DB.prepare(`DELETE FROM ${table}`),
      ...(before[index] ?? []).map((row) => {
        const columns = Object.keys(row);
        return env.DB.prepare(
          `INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map(() => "?").join()})`,
        ).bind(...Object.values(row));
      }),
    ]),
  );
}

const patch = (body: object) => gateway.admin("PATCH", `/tenants/${tenant.id}`, body);
const statusOf = async (key = tenant.key) => (await submit(gateway, key)).status;
async function makeKey(): Promise<string> {
  const made = await gateway.admin("POST", `/tenants/${tenant.id}/keys`, { name: "new", kind: "secret" });
  return ((await made.json()) as { key: string }).key;
}
async function reconcile(
  method: "GET" | "POST" = "POST",
): Promise<{ ok: boolean; data: { kind: string; tenant: string }[] }> {
  return (await gateway.admin(method, "/audit")).json();
}

it("a tenant that is suspended after it is refused, however many changes D1 has lost", async () => {
  await restoreAfter(async () => {
    for (let i = 0; i < 5; i++) await patch({ name: `name ${i}` });
  });
  expect((await patch({ status: "suspended" })).status).toBe(200);
  await expectError(await submit(gateway, tenant.key), "tenant_suspended");
});

it("a suspension by as many changes as D1 has lost, so under the same version, is in force", async () => {
  await restoreAfter(() => patch({ name: "lost" }));
  expect((await patch({ status: "suspended" })).status).toBe(200);
  await expectError(await submit(gateway, tenant.key), "tenant_suspended");
});

it("keys that D1 has no more are refused, and new ones let in", async () => {
  let lost = "";
  await restoreAfter(async () => {
    lost = await makeKey();
  });
  expect(await statusOf(lost)).toBe(200);
  const made = await makeKey();
  expect([await statusOf(lost), await statusOf(made), await statusOf()]).toEqual([401, 200, 200]);
});

it("reconciliation finds what no change has repaired, says whose it is, and repairs it", async () => {
  let lost = "";
  await restoreAfter(async () => {
    lost = await makeKey();
    await patch({ name: "lost" });
  });
  const found = { ok: false, data: [{ kind: "settings", tenant: tenant.id }] };
  for (let i = 0; i < 2; i++) expect(await reconcile("GET")).toMatchObject(found);
  expect(await statusOf(lost)).toBe(200);
  expect(await reconcile()).toMatchObject(found);
  expect(await reconcile("GET")).toMatchObject({ ok: true, data: [] });
  expect(await statusOf(lost)).toBe(401);
  expect(await reconcile()).toMatchObject({ ok: true, data: [] });
  expect(await statusOf()).toBe(200);
});

it("an object that has an older copy than it has acknowledged is found by a read, and given it by a repair", async () => {
  await env.DB.prepare("UPDATE tenants SET config_version = 50, pushed_version = 50").run();
  const found = { ok: false, data: [{ kind: "settings", tenant: tenant.id }] };
  for (const method of ["GET", "GET", "POST"] as const) expect(await reconcile(method)).toMatchObject(found);
  expect(await reconcile("GET")).toMatchObject({ ok: true, data: [] });
});

it("a change that the object has not acknowledged yet is no discrepancy, and is pushed", async () => {
  bindings.broken.add("object takeConfig");
  expect((await patch({ models: ["wan-2.7-image-pro"] })).status).toBe(503);
  bindings.broken.clear();
  expect(await reconcile("GET")).toMatchObject({ ok: true, data: [] });
  expect(await statusOf()).toBe(200);
  expect(await reconcile()).toMatchObject({ ok: true, data: [] });
  await expectError(await submit(gateway, tenant.key), "model_not_allowed", "model");
});

it("a key that has come to its end since it was pushed is no discrepancy", async () => {
  const inAMinute = Math.floor(gateway.now() / 1000) + 60;
  const wanted = { name: "short", kind: "secret", expires_at: inAMinute };
  expect((await gateway.admin("POST", `/tenants/${tenant.id}/keys`, wanted)).status).toBe(201);
  gateway.advance(61_000);
  expect(await reconcile()).toMatchObject({ ok: true, data: [] });
});

it("changes at once are all in force", async () => {
  const limits = { requests_per_minute: 77 };
  const changes = [patch({ limits }), patch({ low_balance: 10 }), makeKey(), makeKey()];
  await Promise.all<unknown>(changes);
  expect(await reconcile()).toMatchObject({ ok: true, data: [] });
  const row = await env.DB.prepare("SELECT config_version = pushed_version AS equal FROM tenants").first();
  expect(row).toEqual({ equal: 1 });
});

it.each([
  ["a suspension", async () => (await patch({ status: "suspended" })).status],
  ["a deletion", async () => (await gateway.admin("DELETE", `/tenants/${tenant.id}`)).status],
])("%s that D1 has lost is in force all the same, and the repair says so", async (_what, stop) => {
  await restoreAfter(async () => {
    await patch({ name: "lost" });
    expect(await stop()).toBeLessThan(300);
  });
  const { data } = (await reconcile()) as unknown as { data: { text: string }[] };
  expect(data).toMatchObject([
    { kind: "settings", text: expect.stringMatching(/was suspended there, and stays so/) },
  ]);
  expect(gateway.logs).toContainEqual(expect.objectContaining({ event: "stop_kept", tenant: tenant.id }));
  await expectError(await submit(gateway, tenant.key), "tenant_suspended");
  expect(await (await gateway.admin("GET", `/tenants/${tenant.id}`)).json()).toMatchObject({
    status: "suspended",
  });
  expect(await reconcile()).toMatchObject({ ok: true });
  // The operator lifts it.
  expect((await patch({ status: "active" })).status).toBe(200);
  expect(await statusOf()).toBe(200);
});

it("a suspension that D1 has lost is not lifted by another change", async () => {
  await restoreAfter(async () => {
    await patch({ name: "lost" });
    await patch({ status: "suspended" });
  });
  expect((await patch({ name: "another" })).status).toBe(200);
  await expectError(await submit(gateway, tenant.key), "tenant_suspended");
});

it("a suspension that D1 has lost ends when the operator says so", async () => {
  await restoreAfter(async () => {
    await patch({ name: "lost" });
    await patch({ status: "suspended" });
  });
  expect((await patch({ status: "active" })).status).toBe(200);
  expect(await statusOf()).toBe(200);
});

it("a tenant that D1 has lost is named and stopped, and is there again when it is made again", async () => {
  let lost = { id: "", key: "" };
  await restoreAfter(async () => {
    lost = await gateway.makeTenant({ id: "lost-one" });
  });
  expect(await statusOf(lost.key)).toBe(200);
  const found = { ok: false, data: [{ kind: "settings", tenant: "lost-one" }] };
  expect(await reconcile("GET")).toMatchObject(found);
  expect(await statusOf(lost.key)).toBe(200);
  // One whose object is away keeps no other from being reconciled.
  bindings.broken.add("object close");
  expect(await reconcile()).toMatchObject(found);
  bindings.broken.clear();
  expect(await statusOf(lost.key)).toBe(200);
  expect(await reconcile()).toMatchObject(found);
  await expectError(await submit(gateway, lost.key), "tenant_suspended");
  expect((await gateway.admin("POST", "/tenants", { id: "lost-one", name: "Again" })).status).toBe(201);
  const made = await gateway.admin("POST", "/tenants/lost-one/keys", { name: "new", kind: "secret" });
  expect(await statusOf(((await made.json()) as { key: string }).key)).toBe(200);
  expect(await statusOf(lost.key)).toBe(401);
  expect(await reconcile("GET")).toMatchObject({ ok: true });
});
