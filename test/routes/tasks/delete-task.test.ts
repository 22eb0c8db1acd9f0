/** Erasing: what was written and drawn is gone for good, what it cost stays, and a late storer brings nothing back. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { imageKey } from "../../../src/domain/task.ts";
import { eraserLeaseMs } from "../../../src/flows/erasure/erase-tasks.ts";
import {
  type Around,
  bearer,
  clearTasks,
  finishTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { expectError, generations, goodBody, read } from "../../helpers/routes.ts";

beforeEach(clearTasks);

const secrets = { prompt: "a secret garden", metadata: { order: "secret-7" }, end_user: "secret-person" };

const drop = (gateway: TestGateway, key: string, path: string) =>
  gateway.fetch(path, { method: "DELETE", headers: bearer(key) });

async function finished(gateway = startGateway(), tenant?: { id: string; key: string }) {
  const { key, id } = tenant ?? (await gateway.makeTenant({ balance: 1_000 }));
  const { id: taskId } = await submitTask(gateway, key, { ...secrets, n: 2 });
  const task = await finishTask(gateway, key, taskId);
  return { gateway, key, tenantId: id, taskId, pictures: task.results.map((url) => new URL(url).pathname) };
}

async function expectErased(gateway: TestGateway, key: string, taskId: string, pictures: string[]) {
  await expectError(await read(gateway, key, taskId), "deleted");
  for (const picture of pictures) await expectError(await gateway.fetch(picture), "deleted");
  const { results } = await env.DB.prepare("SELECT * FROM tasks WHERE id = ?").bind(taskId).all();
  expect(JSON.stringify(results)).not.toContain("secret");
}

describe("deleting a task", () => {
  it("erases its text and pictures, and keeps what it cost", async () => {
    const { gateway, key, tenantId, taskId, pictures } = await finished();
    const response = await drop(gateway, key, `/v1/tasks/${taskId}`);
    expect([response.status, await response.text()]).toEqual([204, ""]);
    await expectErased(gateway, key, taskId, pictures);
    await expectError(await drop(gateway, key, `/v1/tasks/${taskId}`), "deleted");
    await expectError(
      await gateway.fetch(`/v1/tasks/${taskId}/cancel`, { method: "POST", headers: bearer(key) }),
      "deleted",
    );
    const list = await gateway.fetch("/v1/tasks", { headers: bearer(key) });
    expect(await list.json()).toMatchObject({ data: [] });
    const usage = await gateway.fetch("/v1/usage", { headers: bearer(key) });
    expect(await usage.json()).toMatchObject({ balance: 940, days: [{ images: 2, credits: 60 }] });
    const ledger = await gateway.admin("GET", `/tenants/${tenantId}/ledger`);
    expect(await ledger.json()).toMatchObject({ data: [{ type: "charge", amount: 60 }, {}, {}] });
  });

  it("is refused while it runs", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key);
    await expectError(await drop(gateway, key, `/v1/tasks/${id}`), "task_not_finished");
    expect((await read(gateway, key, id)).status).toBe(200);
  });

  it("is for whose task it is: another's is like none", async () => {
    const { gateway, taskId, key } = await finished();
    const other = await gateway.makeTenant();
    await expectError(await drop(gateway, other.key, `/v1/tasks/${taskId}`), "task_not_found");
    await drop(gateway, key, `/v1/tasks/${taskId}`);
    await expectError(await read(gateway, other.key, taskId), "task_not_found");
  });

  it("leaves nothing that a late storer could bring back", async () => {
    const { gateway, key, taskId, pictures } = await finished();
    const { results } = await env.DB.prepare("SELECT images FROM tasks WHERE id = ?").bind(taskId).all();
    await drop(gateway, key, `/v1/tasks/${taskId}`);
    for (const { id } of JSON.parse(String(results[0]?.images)) as { id: string }[]) {
      const late = await env.IMAGES.put(imageKey(id), "late", { onlyIf: { etagDoesNotMatch: "*" } });
      expect(late).toBeNull();
    }
    await expectErased(gateway, key, taskId, pictures);
  });

  it("is finished by cron when the bucket failed half-way", async () => {
    const { gateway, key, taskId, pictures } = await finished();
    let puts = 0;
    const around: Around = async (name, call) => {
      if (name === "R2 put" && ++puts === 2) throw new Error("500");
      return call();
    };
    const shaken = startGateway({ beside: gateway, around });
    await expectError(await drop(shaken, key, `/v1/tasks/${taskId}`), "unavailable");
    await expectError(await read(gateway, key, taskId), "deleted");
    gateway.advance(eraserLeaseMs);
    await gateway.tick();
    await expectErased(gateway, key, taskId, pictures);
  });

  it("erases text and pictures also while the tenant's object is away, and the rest with cron", async () => {
    const { gateway, key, taskId, pictures } = await finished();
    const around: Around = async (name, call) => {
      if (name === "object erase") throw new Error("overloaded");
      return call();
    };
    const shaken = startGateway({ beside: gateway, around });
    expect((await drop(shaken, key, `/v1/tasks/${taskId}`)).status).toBe(204);
    expect(shaken.logs).toContainEqual(expect.objectContaining({ event: "not_erased" }));
    await expectErased(gateway, key, taskId, pictures);
    const erasure = () =>
      env.DB.prepare("SELECT erasure FROM tasks WHERE id = ?").bind(taskId).first("erasure");
    expect(await erasure()).toBe("pending");
    gateway.advance(eraserLeaseMs);
    await gateway.tick();
    expect(await erasure()).toBe("done");
  });

  it("makes a replay of its submission answer that it was deleted", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const headers = { ...bearer(key), "idempotency-key": "order-1" };
    const first = (await (await gateway.post(generations, goodBody, headers)).json()) as { id: string };
    await finishTask(gateway, key, first.id);
    await drop(gateway, key, `/v1/tasks/${first.id}`);
    await expectError(await gateway.post(generations, goodBody, headers), "deleted");
    // With another body as well: what would tell the two apart is erased.
    await expectError(await gateway.post(generations, { ...goodBody, n: 2 }, headers), "deleted");
  });
});

describe("deleting an end user", () => {
  it("erases all of that person's tasks and no other's, those that run once they have ended", async () => {
    const one = await finished();
    const { gateway, key } = one;
    const two = await finished(gateway, { id: one.tenantId, key });
    const running = await submitTask(gateway, key, { ...secrets, prompt: "a secret [sim:seconds=300]" });
    const bystander = await submitTask(gateway, key, { end_user: "another person" });
    const stranger = await gateway.makeTenant();
    const theirs = await submitTask(gateway, stranger.key, secrets);

    expect((await drop(gateway, key, `/v1/end-users/${secrets.end_user}`)).status).toBe(202);
    for (const { taskId, pictures } of [one, two]) await expectErased(gateway, key, taskId, pictures);
    expect((await read(gateway, key, running.id)).status).toBe(200);
    for (let minute = 0; minute < 8; minute++) {
      gateway.advance(60_000);
      await gateway.tick();
    }
    await expectErased(gateway, key, running.id, []);
    expect((await read(gateway, key, bystander.id)).status).toBe(200);
    expect((await read(gateway, stranger.key, theirs.id)).status).toBe(200);
    // What the same person makes later is not meant.
    const later = await finishTask(gateway, key, (await submitTask(gateway, key, secrets)).id);
    expect(later.end_user).toBe(secrets.end_user);
    expect((await env.DB.prepare("SELECT * FROM erasure_turns").all()).results).toEqual([]);
  });

  it("does not say whether there is one", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    expect((await drop(gateway, key, "/v1/end-users/no-such")).status).toBe(202);
  });
});

describe("a tenant's retention", () => {
  it("erases tasks so many days after they were made, and keeps younger ones", async () => {
    const { gateway, key, tenantId, taskId, pictures } = await finished();
    await gateway.admin("PATCH", `/tenants/${tenantId}`, { retention_days: 30 });
    gateway.advance(29 * 86_400_000);
    const younger = await submitTask(gateway, key);
    await finishTask(gateway, key, younger.id);
    const toFullHour = async () => {
      gateway.advance(3_600_000 - (gateway.now() % 3_600_000));
      await gateway.tick();
    };
    await toFullHour();
    expect((await read(gateway, key, taskId)).status).toBe(200);
    gateway.advance(86_400_000);
    await toFullHour();
    await expectErased(gateway, key, taskId, pictures);
    expect((await read(gateway, key, younger.id)).status).toBe(200);
  });
});
