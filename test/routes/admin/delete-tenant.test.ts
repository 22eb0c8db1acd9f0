/** Deleting a tenant: keys stop at once, what it made is erased, the ledger stays, and the id is never used again. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { clearTasks, finishTask, readTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { expectError, read, submit } from "../../helpers/routes.ts";

beforeEach(clearTasks);

async function withPicture() {
  const gateway = startGateway();
  const tenant = await gateway.makeTenant({ balance: 100 });
  const { id } = await submitTask(gateway, tenant.key, {
    prompt: "a secret garden",
    metadata: { order: "secret-7" },
    end_user: "secret-person",
  });
  const task = await finishTask(gateway, tenant.key, id);
  const picture = new URL(task.results[0] ?? "").pathname;
  return { gateway, tenant, id, picture };
}

const drop = (gateway: ReturnType<typeof startGateway>, id: string) =>
  gateway.admin("DELETE", `/tenants/${id}`);

describe("deleting a tenant", () => {
  it("stops its keys, erases prompts and pictures, and keeps the figures", async () => {
    const { gateway, tenant, id, picture } = await withPicture();
    expect((await drop(gateway, tenant.id)).status).toBe(202);
    await expectError(await submit(gateway, tenant.key), "invalid_key");
    await expectError(await read(gateway, tenant.key, id), "invalid_key");
    await gateway.tick();
    await expectError(await gateway.fetch(picture), "deleted");
    const { results } = await env.DB.prepare("SELECT * FROM tasks WHERE id = ?").bind(id).all();
    expect(JSON.stringify(results)).not.toContain("secret");
    const ledger = await gateway.admin("GET", `/tenants/${tenant.id}/ledger`);
    const { data } = (await ledger.json()) as { data: { type: string; amount: number }[] };
    expect(data.map(({ type, amount }) => [type, amount])).toEqual([
      ["charge", 30],
      ["hold", 30],
      ["topup", 100],
    ]);
    const usage = (await (await gateway.admin("GET", `/usage?tenant=${tenant.id}&group=tenant`)).json()) as {
      data: object[];
    };
    expect(usage.data).toEqual([{ tenant: tenant.id, tasks: 1, images: 1, credits: 30 }]);
  });

  it("is refused while tasks run, and changes nothing then", async () => {
    const gateway = startGateway();
    const tenant = await gateway.makeTenant();
    const { id } = await submitTask(gateway, tenant.key);
    await expectError(await drop(gateway, tenant.id), "tenant_busy");
    expect(await readTask(gateway, tenant.key, id)).toMatchObject({ id });
    await finishTask(gateway, tenant.key, id);
    expect((await drop(gateway, tenant.id)).status).toBe(202);
  });

  it("uses its id up, and takes it out of every list and change", async () => {
    const { gateway, tenant } = await withPicture();
    await drop(gateway, tenant.id);
    await expectError(
      await gateway.admin("POST", "/tenants", { id: tenant.id, name: "Again" }),
      "already_exists",
      "id",
    );
    await expectError(await gateway.admin("GET", `/tenants/${tenant.id}`), "deleted");
    await expectError(
      await gateway.admin("PATCH", `/tenants/${tenant.id}`, { status: "active" }),
      "not_found",
    );
    const key = { name: "k", kind: "secret" };
    await expectError(await gateway.admin("POST", `/tenants/${tenant.id}/keys`, key), "not_found");
    const list = (await (await gateway.admin("GET", "/tenants?limit=100")).json()) as {
      data: { id: string }[];
    };
    expect(list.data.map(({ id }) => id)).not.toContain(tenant.id);
    expect((await drop(gateway, tenant.id)).status).toBe(202);
    await expectError(await drop(gateway, "no-such"), "not_found");
  });

  it("ends for good once its last task is over, and then costs cron nothing", async () => {
    const gateway = startGateway();
    const tenant = await gateway.makeTenant();
    const { id } = await submitTask(gateway, tenant.key, { prompt: "a secret [sim:seconds=600]" });
    // As a submission leaves it that was admitted before its keys stopped, and that D1 did not have yet.
    await env.DB.prepare("UPDATE tasks SET open = 0").run();
    await drop(gateway, tenant.id);
    await env.DB.prepare("UPDATE tasks SET open = 1").run();
    const erasedMs = () =>
      env.DB.prepare("SELECT erased_ms FROM tenants WHERE id = ?").bind(tenant.id).first("erased_ms");
    const minutes = async (count: number) => {
      for (let minute = 0; minute < count; minute++) {
        gateway.advance(60_000);
        await gateway.tick();
      }
    };
    await minutes(3);
    expect(await erasedMs()).toBeNull();
    await minutes(10);
    expect(await erasedMs()).toEqual(expect.any(Number));
    const task = await env.DB.prepare("SELECT input, erasure FROM tasks WHERE id = ?").bind(id).first();
    expect(task).toEqual({ input: '{"prompt":"","n":1}', erasure: "done" });
    expect((await env.DB.prepare("SELECT * FROM erasure_turns").all()).results).toEqual([]);
  });

  it("keeps neither its secret of Turnstile nor the address of its webhook", async () => {
    const gateway = startGateway();
    const webhook = { url: "https://hooks.example/webhook" };
    const { id } = await gateway.makeTenant({ turnstile_secret: "turnstile-secret-0123456789", webhook });
    await drop(gateway, id);
    const row = await env.DB.prepare("SELECT turnstile_secret, webhook_url FROM tenants WHERE id = ?")
      .bind(id)
      .first();
    expect(row).toEqual({ turnstile_secret: null, webhook_url: null });
  });
});
