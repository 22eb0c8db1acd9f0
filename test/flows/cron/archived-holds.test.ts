/** A tenant's object that was restored to a time before its tasks were archived: they are settled as they ended, once. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { addUp } from "../../../src/d1/cron/sums.ts";
import { archiveAll, copyTask, dayMs, partsInDatabase } from "../../helpers/archived.ts";
import { ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { finishTask, readTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { backUpObject } from "../../helpers/restored-stores.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { objectOf } from "../../helpers/tenant-object.ts";

let gateway: TestGateway;
let tenant = { id: "", key: "" };
beforeEach(async () => {
  await emptyStores();
  gateway = startGateway({ vars: { ARCHIVE_TASKS_AFTER_DAYS: 7 } });
  tenant = await gateway.makeTenant({ balance: 1_000 });
});

interface Found {
  kind: string;
  subject: string | null;
  text: string;
}
async function audit(method: "GET" | "POST" = "POST"): Promise<Found[]> {
  const response = await gateway.admin(method, "/audit");
  expect(response.status).toBe(200);
  return ((await response.json()) as { data: Found[] }).data;
}
const holds = (found: Found[]) => new Set(found.map(({ kind, subject }) => `${kind} ${subject}`));

/** Tasks that are held, and their object as it is then; they end, and are archived. @returns what restores the object. */
async function archive(ids: string[]): Promise<() => Promise<void>> {
  await gateway.invocation().tenant(tenant.id).flush();
  const restore = await backUpObject(tenant.id);
  for (const id of ids) await finishTask(gateway, tenant.key, id);
  await copyTask(
    ids[0] ?? "",
    Array.from({ length: 1_000 }, (_, i) => ({ createdMs: gateway.now() + i })),
  );
  gateway.advance(8 * dayMs);
  await addUp(env.DB, gateway.now());
  await archiveAll(gateway, tenant.id);
  expect(await inDatabase(ids)).toEqual([]);
  return restore;
}

async function inDatabase(ids: string[]): Promise<unknown[]> {
  const rows = env.DB.prepare("SELECT id FROM tasks WHERE id IN (SELECT value FROM json_each(?1))");
  return (await rows.bind(JSON.stringify(ids)).all()).results;
}

it.each(["by cron", "by the operator"])("settles them %s", async (by) => {
  const made = (await submitTask(gateway, tenant.key, { n: 2 })).id;
  const failing = (await submitTask(gateway, tenant.key, { prompt: "[sim:fail=generation_failed]" })).id;
  const restore = await archive([made, failing]);
  await restore();
  expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 1_000, held: 90 });
  const both = new Set([`hold ${made}`, `hold ${failing}`]);
  if (by === "by the operator") {
    expect(holds(await audit("GET"))).toEqual(both);
    expect(holds(await audit())).toEqual(both);
  } else {
    await runDurableObjectAlarm(objectOf(tenant.id));
    for (let i = 0; i < 20; i++) {
      gateway.advance(60_000);
      await gateway.tick();
    }
  }
  expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 940, held: 0 });
  const charges = (await ledgerOf(gateway, tenant.id)).filter(({ type }) => type === "charge");
  expect(charges.map(({ task, amount }) => [task, amount])).toEqual([[made, 60]]);
  expect(await audit()).toEqual([]);
  expect(await inDatabase([made, failing])).toEqual([]);
  expect(await readTask(gateway, tenant.key, made)).toMatchObject({ status: "completed" });
  expect(gateway.simulator.control.tasks()).toHaveLength(2);
});

it("names the hold of a task whose part of the archive is lost, and leaves it", async () => {
  const { id } = await submitTask(gateway, tenant.key);
  const restore = await archive([id]);
  for (const { key } of await partsInDatabase(tenant.id)) await env.IMAGES.delete(key);
  await restore();
  const text = expect.stringContaining("archive");
  expect(await audit()).toMatchObject([{ kind: "hold", subject: id, text }]);
  expect(await moneyOf(gateway, tenant.id)).toMatchObject({ held: 30 });
  expect(await inDatabase([id])).toEqual([]);
});
