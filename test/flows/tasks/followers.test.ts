/**
 * Those who wait for one task and stream it share what one of them reads, while each is refused as soon as its own key is.
 * In virtual time, so that all of them sleep side by side.
 */
import { beforeEach, expect, it } from "vitest";
import { readKey } from "../../../src/domain/keys.ts";
import { findTask } from "../../../src/flows/tasks/find-task.ts";
import { taskVersions, waitForTask } from "../../../src/flows/tasks/wait.ts";
import { createPlaces } from "../../../src/platform/places.ts";
import { clearTasks, startGateway, submitTask } from "../../helpers/gateway.ts";
import { recordBindings } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

beforeEach(clearTasks);

/** A task of ten minutes, in an isolate of its own. */
async function started() {
  const bindings = recordBindings();
  const gateway = startGateway({ time: virtualTime(), around: bindings.around });
  const tenant = await gateway.makeTenant();
  const { id } = await submitTask(gateway, tenant.key, { prompt: "a boat [sim:seconds=600]" });
  const claims = await readKey(gateway.invocation().signers.keys, tenant.key);
  if (!claims) throw new Error("no key");
  const page = { origin: null, sameOrigin: false };
  const caller = { ...claims, keyHash: null, token: null, page, kind: "link" as const };
  const found = await findTask(gateway.invocation(), caller, id);
  if (found.kind !== "in" || !found.task) throw new Error("no task");
  const { task } = found;
  const place = () => createPlaces().take({ task: id, holder: null }, 0);
  const reads = () => bindings.calls.filter((name) => name === "D1").length;
  bindings.calls.length = 0;
  return { gateway, bindings, tenant, caller, task, place, reads };
}

/** How often D1 is called while so many follow a task for half a minute, who begin at moments so far apart. */
async function readsOf(followers: number, stepMs: number): Promise<number> {
  const { gateway, caller, task, place, reads } = await started();
  const one = async (index: number) => {
    await gateway.sleep(index * stepMs);
    return waitForTask(gateway.invocation(), caller, task, place(), 30);
  };
  await Promise.all(Array.from({ length: followers }, (_, index) => one(index)));
  return reads();
}

it.each([0, 17])("fifty followers cost about as many reads as one, %i ms apart", async (stepMs) => {
  const alone = await readsOf(1, stepMs);
  expect(alone).toBeGreaterThan(15);
  expect(await readsOf(50, stepMs)).toBeLessThanOrEqual(alone * 1.5);
});

it("each sees the versions in order, and the newest within two of its turns", async () => {
  const { gateway, caller, task, place } = await started();
  const seen = async (index: number) => {
    await gateway.sleep(index * 130);
    const versions: number[] = [];
    const untilMs = gateway.now() + 20_000;
    for await (const { version } of taskVersions(gateway.invocation(), caller, task, place(), untilMs))
      versions.push(version);
    return versions;
  };
  const all = await Promise.all(Array.from({ length: 8 }, (_, index) => seen(index)));
  for (const versions of all) {
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(versions.length).toBeGreaterThan(10);
  }
  const last = all.map((versions) => versions.at(-1) ?? 0);
  expect(Math.max(...last)).toBeGreaterThan(task.version);
});

it("all end soon after their key is revoked", async () => {
  const { gateway, tenant, caller, task, place } = await started();
  const startMs = gateway.now();
  const ends = Array.from({ length: 10 }, async (_, index) => {
    await gateway.sleep(index * 90);
    await waitForTask(gateway.invocation(), caller, task, place(), 60);
    return gateway.now() - startMs;
  });
  await gateway.sleep(5_000);
  await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${tenant.keyId}`);
  for (const endMs of await Promise.all(ends)) {
    expect(endMs).toBeGreaterThanOrEqual(5_000);
    expect(endMs).toBeLessThanOrEqual(8_000);
  }
});

it("those of another key have that checked, and see nothing of what the first one is refused", async () => {
  const { gateway, tenant, caller, task, place } = await started();
  const made = await gateway.admin("POST", `/tenants/${tenant.id}/keys`, { name: "b", kind: "secret" });
  const { id: keyId } = (await made.json()) as { id: string };
  const wait = (by: typeof caller) => waitForTask(gateway.invocation(), by, task, place(), 20);
  const startMs = gateway.now();
  const timed = async (by: typeof caller) => {
    await wait(by);
    return gateway.now() - startMs;
  };
  const [first, second] = [timed(caller), timed({ ...caller, keyId })];
  await gateway.sleep(3_500);
  await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${keyId}`);
  expect(await second).toBeLessThanOrEqual(5_000);
  expect(await first).toBe(20_000);
});

it("a follower whose token has run out ends without a read", async () => {
  const { gateway, caller, task, place, reads } = await started();
  const expiresMs = gateway.now() + 3_500;
  const claims = { id: "token", tenantId: caller.tenantId, keyId: caller.keyId, expiresMs, maxImages: 1 };
  const token = { ...claims, allowedOrigins: [], models: null, endUser: null };
  const by = { ...caller, kind: "token" as const, token, page: { origin: null, sameOrigin: true } };
  await waitForTask(
    gateway.invocation(),
    { ...by, token: { ...token, allowedOrigins: [] } },
    task,
    place(),
    60,
  );
  expect(gateway.now()).toBeLessThanOrEqual(expiresMs + 1_000);
  expect(reads()).toBeLessThanOrEqual(4);
});

it("a read whose follower has died is done again", async () => {
  const { gateway, caller, task, place, reads } = await started();
  const { sharedReads } = gateway.invocation();
  await gateway.sleep(500);
  // It began, and its invocation was ended.
  const dead = sharedReads.begin(`${caller.tenantId} ${caller.keyId} ${task.id}`, gateway.now());
  await waitForTask(gateway.invocation(), caller, task, place(), 4);
  expect(dead.task).toBeUndefined();
  expect(reads()).toBeGreaterThanOrEqual(2);
});

it("a place that is given back makes no further call", async () => {
  const { gateway, bindings, caller, task, place } = await started();
  const own = place();
  const waiting = waitForTask(gateway.invocation(), caller, task, own, 60);
  await gateway.sleep(2_500);
  own.end();
  bindings.calls.length = 0;
  const endedMs = gateway.now();
  await waiting;
  expect(bindings.calls).toEqual([]);
  expect(gateway.now() - endedMs).toBeLessThanOrEqual(1_000);
});

it("what is left of old reads goes, and so do the oldest of too many", async () => {
  const { gateway } = await started();
  const { sharedReads } = gateway.invocation();
  sharedReads.begin("old", 1);
  sharedReads.begin("young", 9_000);
  expect([sharedReads.find("old"), sharedReads.find("young")]).toEqual([{ atMs: 1 }, { atMs: 9_000 }]);
  sharedReads.begin("another", 10_001);
  expect([sharedReads.find("old"), sharedReads.find("young")]).toEqual([undefined, { atMs: 9_000 }]);
  for (let i = 0; i < 1_000; i++) sharedReads.begin(`read ${i}`, 10_002);
  expect([sharedReads.find("young"), sharedReads.find("read 0")]).toEqual([undefined, { atMs: 10_002 }]);
  sharedReads.begin("one more", 10_002);
  expect([sharedReads.find("read 0"), sharedReads.find("read 1")]).toEqual([undefined, { atMs: 10_002 }]);
});
