/**
 * Keys, pages, limits and idempotency in OpenAI's dialect: the same rules as on the native routes, since a door with
 * weaker ones would be the one that is used.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { moneyOf } from "../../helpers/credits.ts";
import { bearer, origin, readTask, startGateway } from "../../helpers/gateway.ts";
import {
  ask,
  attempted,
  openAiBody,
  openAiGenerations,
  replyOf,
  taskIdOf,
  waitFor,
} from "../../helpers/openai.ts";
import { makeBrowserKey, mintToken, page } from "../../helpers/page-visitor.ts";
import { deleteTasks, expectError, expectNothingBut, makeKey, policy, submit } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const gateway = startGateway({ time: virtualTime() });
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
  tenant = await gateway.makeTenant({ balance: 500 });
});

const held = {
  "browser key": async () => (await makeBrowserKey(gateway, tenant.id)).key,
  "client token": () => mintToken(gateway, tenant.key, { end_user: "ada" }),
};
const models = (key: string, headers: Record<string, string> = {}) =>
  gateway.fetch("/openai/v1/models", { headers: { ...bearer(key), ...headers } });

describe("a page", () => {
  it.each(Object.entries(held))("with a %s gets its pictures, and sees no credits", async (_name, make) => {
    const response = await ask(gateway, await make(), {}, page);
    expect(response.headers.get("access-control-allow-origin")).toBe(page.origin);
    expect(response.headers.get("access-control-expose-headers")).toContain("x-task-id");
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ data: [{}], usage: { images: 1, total_tokens: 0 } });
    expect(text).not.toContain("credits");
    const task = await readTask(gateway, tenant.key, taskIdOf(response));
    expect(task).toMatchObject({
      end_user: _name === "client token" ? "ada" : null,
      usage: { credits_charged: 30 },
    });
  });

  it.each(Object.entries(held))("with a %s sees no credits in events either", async (_name, make) => {
    const { chunks } = await waitFor(gateway, await make(), { stream: true }, page);
    const text = chunks.map((chunk) => chunk.text).join("");
    expect(text).toContain("image_generation.completed");
    expect(text).not.toContain("credits");
  });

  it.each(Object.entries(held))("with a %s names no end user of its own making", async (_name, make) => {
    const key = await make();
    await expectError(await ask(gateway, key, { user: "eve" }, page), "invalid_request", "user");
    await expectError(await ask(gateway, key, { end_user: "eve" }, page), "invalid_request", "end_user");
  });

  it("asks for no more than a page may", async () => {
    const key = await held["browser key"]();
    await expectError(await ask(gateway, key, { n: 5 }, page), "invalid_request", "n");
    const callback = { callback_url: "https://hooks.example" };
    await expectError(await ask(gateway, key, callback, page), "scope_denied", "callback_url");
    await expectError(await ask(gateway, key), "origin_not_allowed");
  });

  it("with a secret key is asked to revoke it, and nothing is made", async () => {
    const send = () => ask(gateway, tenant.key, {}, page);
    await expectNothingBut(gateway, send, "secret_key_in_browser");
    await expectError(await models(tenant.key, page), "secret_key_in_browser");
    expect((await models(tenant.key, { origin })).status).toBe(200);
  });

  it.each([openAiGenerations, "/openai/v1/models"])("is answered before it asks: %s", async (path) => {
    const asked = "authorization,content-type,x-stainless-lang,x-stainless-retry-count";
    const headers = {
      ...page,
      "access-control-request-method": "POST",
      "access-control-request-headers": asked,
    };
    const response = await gateway.fetch(path, { method: "OPTIONS", headers });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-headers")).toBe(asked);
    expect(response.headers.get("access-control-max-age")).toBe("7200");
  });
});

describe("a key", () => {
  it("has to be there, and to be a good one", async () => {
    const bare = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    await expectError(await gateway.fetch(openAiGenerations, bare), "missing_key");
    await expectError(await ask(gateway, "sk-proj-0123456789"), "invalid_key");
    await expectError(await ask(gateway, `${tenant.key.slice(0, -1)}_`), "invalid_key");
  });

  it("that is revoked, or of a suspended tenant, makes nothing from then on", async () => {
    const { id, key } = await makeKey(gateway, tenant.id, {});
    await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${id}`);
    await expectNothingBut(gateway, () => ask(gateway, key), "invalid_key");
    await expectError(await models(key), "invalid_key");
    await gateway.admin("PATCH", `/tenants/${tenant.id}`, { status: "suspended" });
    await expectNothingBut(gateway, () => ask(gateway, tenant.key), "tenant_suspended");
    await expectError(await models(tenant.key), "tenant_suspended");
  });

  it("is held to its scopes and models", async () => {
    const manager = await makeKey(gateway, tenant.id, { scopes: ["manage"] });
    await expectNothingBut(gateway, () => ask(gateway, manager.key), "scope_denied");
    const pro = await makeKey(gateway, tenant.id, { models: ["wan-2.7-image-pro"] });
    await expectNothingBut(gateway, () => ask(gateway, pro.key), "model_not_allowed", "model");
    const { data } = await (await models(pro.key)).json<{ data: { id: string }[] }>();
    expect(data.map(({ id }) => id)).toEqual(["wan-2.7-image-pro"]);
  });
});

describe("limits and money", () => {
  it("are in the headers of a reply, and of a refusal", async () => {
    const limited = await gateway.makeTenant({ limits: { requests_per_minute: 2, images_per_minute: 10 } });
    const first = await ask(gateway, limited.key);
    await replyOf(first);
    expect(policy(first.headers, "ratelimit-policy", "requests")).toMatchObject({ q: 2, w: 60 });
    expect(policy(first.headers, "ratelimit", "images")).toMatchObject({ r: 9 });
    expect(first.headers.get("x-ratelimit-limit-requests")).toBe("2");
    expect(first.headers.get("x-ratelimit-remaining-requests")).toBe("1");
    const refused = { size: "square", prompt: "[sim:refuse]" };
    await expectError(await ask(gateway, limited.key, refused), "content_policy_violation");
    const third = await ask(gateway, limited.key);
    expect(third.headers.get("retry-after")).toMatch(/^[1-9]\d?$/);
    expect(third.headers.get("x-ratelimit-remaining-requests")).toBe("0");
    await expectError(third, "rate_limited");
  });

  it("are in a failure's headers, too", async () => {
    const response = await ask(gateway, tenant.key, { prompt: "a boat [sim:seconds=5] [sim:fail]" });
    expect(response.status).toBe(400);
    expect(policy(response.headers, "ratelimit", "requests")).toMatchObject({ r: 599 });
  });

  it("that do not suffice are 402, not to be attempted again", async () => {
    const poor = await gateway.makeTenant({ balance: 20 });
    await expectNothingBut(gateway, () => ask(gateway, poor.key), "insufficient_balance");
  });
});

describe("the same request again", () => {
  it("under an Idempotency-Key is the same task, and paid once", async () => {
    const name = { "idempotency-key": "a" };
    const first = await ask(gateway, tenant.key, {}, name);
    const again = await ask(gateway, tenant.key, { response_format: "url" }, name);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(taskIdOf(again)).toBe(taskIdOf(first));
    expect((await replyOf(again)).data[0]?.url).toBe((await replyOf(first)).data[0]?.url);
    const other = await ask(gateway, tenant.key, { n: 2 }, name);
    await expectError(other, "idempotency_key_reused");
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 470, held: 0 });
  });

  it("by a client that tries again by itself makes no second task, also while the first one runs", async () => {
    const replies = await Promise.all([
      ask(gateway, tenant.key, {}, attempted(0)),
      gateway.sleep(2_000).then(() => ask(gateway, tenant.key, {}, attempted(1))),
      gateway.sleep(3_000).then(() => ask(gateway, tenant.key, {}, attempted(2))),
    ]);
    expect(new Set(replies.map(taskIdOf)).size).toBe(1);
    for (const reply of replies) expect((await replyOf(reply)).data).toHaveLength(1);
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 470, held: 0 });
  });

  it("on the native route is found here, since the task is the same", async () => {
    const native = { model: "wan-2.7-image", n: 1, ...openAiBody };
    const made = await submit(gateway, tenant.key, native);
    const { id } = await made.json<{ id: string }>();
    expect(taskIdOf(await ask(gateway, tenant.key, {}, attempted(1)))).toBe(id);
  });
});
