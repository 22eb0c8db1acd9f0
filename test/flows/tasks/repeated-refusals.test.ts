/**
 * A request that a rate or quota has refused, sent again and again: for a second it is answered without the tenant's object,
 * with the same words and an end that is as exact; and nothing that the object would decide otherwise is answered so.
 */
import { beforeEach, expect, it } from "vitest";
import { draw, fileOf, upload } from "../../helpers/files.ts";
import { bearer, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { makeBrowserKey, submitFrom } from "../../helpers/page-visitor.ts";
import { expectError, generations, goodBody, recordBindings, submit } from "../../helpers/routes.ts";

const bindings = recordBindings();
let gateway: TestGateway;

beforeEach(() => {
  gateway = startGateway({ around: bindings.around });
});

const decisions = () => bindings.calls.filter((call) => call === "object begin").length;
/** How often the object was asked meanwhile. */
async function asked(work: () => Promise<unknown>): Promise<number> {
  const before = decisions();
  await work();
  return decisions() - before;
}

async function shown(response: Response) {
  const headers = [
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-remaining-requests",
    "x-should-retry",
  ];
  const { error } = (await response.json()) as { error: object };
  return [response.status, error, headers.map((name) => response.headers.get(name))];
}

it("is answered by the isolate for a second, as the object answers", async () => {
  const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
  await submit(gateway, key);
  const first = await shown(await submit(gateway, key));
  const storm = async () => {
    for (let i = 0; i < 50; i++)
      expect(await shown(await submit(gateway, key, { prompt: `boat ${i}` }))).toEqual(first);
  };
  expect(await asked(storm)).toBe(0);
  gateway.advance(1_000);
  expect(await asked(() => submit(gateway, key))).toBe(1);
});

it("says the moment at which it goes through, and goes through then", async () => {
  const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 15 } });
  for (let i = 0; i < 15; i++) await submit(gateway, key);
  const refused = await submit(gateway, key);
  const seconds = Number(refused.headers.get("retry-after"));
  gateway.advance(600);
  expect(await asked(async () => expectError(await submit(gateway, key), "rate_limited"))).toBe(0);
  gateway.advance(seconds * 1_000 - 600);
  expect((await submit(gateway, key)).status).toBe(200);
});

it("is decided anew for fewer images, another model and another key", async () => {
  const { id, key } = await gateway.makeTenant({ limits: { images_per_day: 3 } });
  await submit(gateway, key, { n: 2 });
  await expectError(await submit(gateway, key, { n: 2 }), "quota_exceeded");
  const made = await gateway.admin("POST", `/tenants/${id}/keys`, { name: "other", kind: "secret" });
  const other = ((await made.json()) as { key: string }).key;
  await expectError(await submit(gateway, key, { n: 2 }), "quota_exceeded");
  const ways = [
    () => submit(gateway, key, { n: 2, model: "wan-2.7-image-pro" }),
    () => submit(gateway, other, { n: 2 }),
    () => submit(gateway, key, { n: 1 }),
  ];
  for (const way of ways) expect(await asked(way)).toBe(1);
});

it("has none of its files searched again", async () => {
  const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 2 } });
  const { url } = await fileOf(await upload(gateway, key, await draw("png")));
  const edit = () => submit(gateway, key, { image_urls: [url] });
  expect((await edit()).status).toBe(200);
  await expectError(await edit(), "rate_limited");
  const before = bindings.calls.length;
  for (let again = 0; again < 10; again++) await expectError(await edit(), "rate_limited");
  expect(bindings.calls.slice(before)).toEqual([]);
});

it("is a visitor's own where its network address was refused", async () => {
  const { id } = await gateway.makeTenant();
  const { key } = await makeBrowserKey(gateway, id, { limits: { refusals_per_day: 4 } });
  const from = (ip: string, prompt = "a boat") =>
    submitFrom(gateway, key, { prompt }, { "cf-connecting-ip": ip });
  await expectError(await from("203.0.113.1", "a boat [sim:refuse]"), "content_policy_violation");
  await expectError(await from("203.0.113.1"), "quota_exceeded");
  expect((await from("203.0.113.2")).status).toBe(200);
});

it("is answered with its task where it has one", async () => {
  const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
  const headers = { ...bearer(key), "idempotency-key": "order-1" };
  const task = (await (await gateway.post(generations, goodBody, headers)).json()) as { id: string };
  await expectError(await submit(gateway, key), "rate_limited");
  const again = await gateway.post(generations, goodBody, headers);
  expect([again.status, ((await again.json()) as { id: string }).id]).toEqual([200, task.id]);
  const retried = await gateway.post(
    generations,
    { ...goodBody, prompt: "other" },
    {
      ...bearer(key),
      "x-stainless-retry-count": "1",
    },
  );
  await expectError(retried, "rate_limited");
});

it("is let in at once when the operator raises the limit", async () => {
  const { id, key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
  await submit(gateway, key);
  await expectError(await submit(gateway, key), "rate_limited");
  await gateway.admin("PATCH", `/tenants/${id}`, { limits: { requests_per_minute: 100 } });
  expect((await submit(gateway, key)).status).toBe(200);
});

it.each([
  ["insufficient_balance", { balance: 30 }],
  ["too_many_tasks", { limits: { concurrent_tasks: 1 } }],
] as const)("is decided by the object each time for %s, whose end is not known", async (code, settings) => {
  const { key } = await gateway.makeTenant(settings);
  await submit(gateway, key);
  const thrice = async () => {
    for (let i = 0; i < 3; i++) await expectError(await submit(gateway, key), code);
  };
  expect(await asked(thrice)).toBe(3);
});

it("does not make the isolate remember without end", async () => {
  const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
  await submit(gateway, key);
  const send = (order: number) =>
    gateway.post(generations, goodBody, { ...bearer(key), "idempotency-key": `order-${order}` });
  await send(0);
  expect(await asked(() => send(0))).toBe(0);
  for (let order = 1; order <= 1_000; order++) await send(order);
  expect(await asked(() => send(0))).toBe(1);
  expect(await asked(() => send(1_000))).toBe(0);
});
