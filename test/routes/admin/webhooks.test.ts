/** `/admin/api/webhooks`: the operator reads the deliveries to all tenants, and has any of them attempted again. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  endTask,
  pagesOf,
  readAuditLog,
  type ShownDelivery,
  startReceiver,
  toCallback,
  toWebhook,
} from "../../helpers/delivery-receiver.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";

const readKey = "read-only-test-key-0123456789-0123";
const receiver = startReceiver();
const gateway = startGateway({ hosts: receiver.hosts, vars: { ADMIN_READ_KEY: readKey } });
const url = receiver.url;

interface Page {
  object: string;
  data: ShownDelivery[];
  next_cursor: string | null;
}
async function listed(query = "?limit=100"): Promise<Page> {
  const response = await gateway.admin("GET", `/webhooks${query}`);
  expect(response.status).toBe(200);
  return response.json();
}
const idsOf = async (query: string) => (await listed(query)).data.map(({ id }) => id);
const retry = (id: string) => gateway.admin("POST", `/webhooks/${id}/retry`);

/** Two tenants, one with a webhook and one with callbacks, whose tasks end by turns. */
const tenants = [
  { id: "", key: "", keyId: "" },
  { id: "", key: "", keyId: "" },
];
const tasks: string[] = [];
const all: string[] = [];
beforeAll(async () => {
  tenants[0] = await gateway.makeTenant({ id: "shop", webhook: { url } });
  tenants[1] = await gateway.makeTenant({ id: "studio" });
  for (let turn = 0; turn < 6; turn++) {
    gateway.advance(1_000);
    const isFirst = turn % 2 === 0;
    receiver.status = turn === 4 ? 500 : 200;
    const fields = isFirst ? {} : { callback_url: `${url}/private-path` };
    const task = await endTask(gateway, tenants[turn % 2]?.key ?? "", fields);
    tasks.push(task);
    all.unshift(isFirst ? toWebhook(task) : toCallback(task));
  }
  receiver.status = 200;
});
const at = (...places: number[]) => places.map((place) => all[place]);

describe("the log of all deliveries", () => {
  it("is of all tenants, newest first, in pages that together hold each once", async () => {
    const pages = await pagesOf(listed, 4);
    expect(pages.map((page) => page.map(({ id }) => id))).toEqual([all.slice(0, 4), all.slice(4)]);
    expect(await idsOf("")).toEqual(all);
  });

  it("says whose each is and where it goes, and of a callback the origin alone", async () => {
    const { data } = await listed("?limit=2");
    const origin = "https://hooks.example";
    expect(data).toMatchObject([
      { tenant: "studio", task: tasks[5], target: origin, status: "delivered", last_status: 200 },
      { tenant: "shop", task: tasks[4], target: "webhook", status: "pending", last_error: "status 500" },
    ]);
    expect(JSON.stringify(await listed())).not.toContain("private-path");
  });

  it("can be asked for by tenant, status and task, and by all of them", async () => {
    expect(await idsOf("?tenant=shop")).toEqual(at(1, 3, 5));
    expect(await idsOf("?tenant=studio&limit=2")).toEqual(at(0, 2));
    expect(await idsOf(`?tenant=studio&cursor=${all[2]}`)).toEqual(at(4));
    expect(await idsOf("?status=pending")).toEqual(at(1));
    expect(await idsOf("?tenant=studio&status=pending")).toEqual([]);
    expect(await idsOf(`?task=${tasks[0]}`)).toEqual(at(5));
    expect(await idsOf(`?tenant=studio&task=${tasks[0]}`)).toEqual([]);
    expect(await idsOf("?tenant=no-such")).toEqual([]);
  });

  it.each([
    ["tenant", ["x".repeat(33)]],
    ["status", ["", "sending", "open"]],
    ["task", ["x".repeat(101)]],
    ["limit", ["", "0", "101", "1.5", "x"]],
    ["cursor", ["x".repeat(101)]],
  ])("refuses a bad %s", async (field, values) => {
    for (const value of values) {
      const response = await gateway.admin("GET", `/webhooks?${field}=${value}`);
      await expectError(response, "invalid_request", field);
    }
  });
});

describe("the key for reading", () => {
  it("reads the log and has nothing attempted again", async () => {
    const response = await gateway.fetch("/admin/api/webhooks", { headers: bearer(readKey) });
    expect(((await response.json()) as Page).data.map(({ id }) => id)).toEqual(all);
    const before = [receiver.received.length, await listed(), await readAuditLog(gateway)];
    for (const id of [all[0], "msg-nobodys"]) {
      const path = `/admin/api/webhooks/${id}/retry`;
      const refused = await gateway.fetch(path, { method: "POST", headers: bearer(readKey) });
      await expectError(refused, "scope_denied");
    }
    expect([receiver.received.length, await listed(), await readAuditLog(gateway)]).toEqual(before);
  });
});

describe("a tenant's key", () => {
  it("neither reads the log of all nor has anything attempted again by it", async () => {
    const headers = bearer(tenants[0]?.key ?? "");
    await expectError(await gateway.fetch("/admin/api/webhooks", { headers }), "invalid_key");
    const path = `/admin/api/webhooks/${all[1]}/retry`;
    await expectError(await gateway.fetch(path, { method: "POST", headers }), "invalid_key");
  });
});

describe("the operator's retry", () => {
  it("sends any tenant's at once, and leaves a line that names the tenant", async () => {
    for (const [place, tenant] of [
      [1, "shop"],
      [0, "studio"],
    ] as const) {
      const id = all[place] ?? "";
      gateway.advance(1);
      const before = receiver.received.length;
      const response = await retry(id);
      expect(response.status).toBe(202);
      expect(await response.json()).toMatchObject({ id, tenant, status: "pending" });
      expect(receiver.received.slice(before).map(({ headers }) => headers["webhook-id"])).toEqual([id]);
      const { data } = await listed();
      expect(data.find((one) => one.id === id)).toMatchObject({ status: "delivered", attempts: 1 });
      const [line] = await readAuditLog(gateway);
      expect(line).toMatchObject({
        act: "webhook.retry",
        actor: "admin",
        tenant,
        subject: id,
        details: {},
      });
    }
  });

  it("of what is not there is not found, and leaves no line", async () => {
    const before = await readAuditLog(gateway);
    for (const id of ["msg-0000000000000000000000000000000-w", "msg-", "%25", "x".repeat(500)]) {
      await expectError(await retry(id), "not_found");
    }
    expect(await readAuditLog(gateway)).toEqual(before);
  });
});
