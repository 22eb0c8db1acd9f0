/**
 * `POST /v1/quote`: what a submission would cost, by the rules that the submission itself is held to. Asking
 * counts as nothing and holds nothing.
 */
import { describe, expect, it } from "vitest";
import { getAs, ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import {
  countTasks,
  deleteTasks,
  expectError,
  generations,
  goodBody,
  makeKey,
  submit,
} from "../../helpers/routes.ts";

const gateway = startGateway();
const std = "wan-2.7-image";
const pro = "wan-2.7-image-pro";
const reference = "https://pictures.example/a.png";

const ask = (key: string, fields: object = {}, headers: Record<string, string> = {}) =>
  gateway.post("/v1/quote", { ...goodBody, ...fields }, { ...bearer(key), ...headers });

async function quoted(key: string, fields: object = {}, headers = {}): Promise<object> {
  const response = await ask(key, fields, headers);
  expect({ status: response.status, text: await response.clone().text() }).toMatchObject({ status: 200 });
  expect(response.headers.get("cache-control")).toBe("no-store");
  return response.json();
}

describe("a quote", () => {
  it.each([
    [{}, { credits: 30, images: 1 }],
    [{ n: 5 }, { credits: 150, images: 5 }],
    [
      { model: pro, n: 2 },
      { credits: 150, images: 2 },
    ],
    [
      { n: 4, image_urls: [reference], enable_prompt_expansion: true },
      { credits: 120, images: 4 },
    ],
    [
      { callback_url: "https://hooks.example/x", metadata: { a: "b" }, end_user: "e" },
      { credits: 30, images: 1 },
    ],
  ])("of %j is by the gateway's prices", async (fields, expected) => {
    const { key } = await gateway.makeTenant();
    expect(await quoted(key, fields)).toEqual(expected);
  });

  it("is by the tenant's own price where it has one", async () => {
    const { id, key } = await gateway.makeTenant({ prices: { [std]: 7, [pro]: 0 } });
    expect(await quoted(key, { n: 3 })).toEqual({ credits: 21, images: 3 });
    expect(await quoted(key, { n: 3, model: pro })).toEqual({ credits: 0, images: 3 });
    await gateway.admin("PATCH", `/tenants/${id}`, { prices: { [pro]: 9 } });
    expect(await quoted(key, { n: 3 })).toEqual({ credits: 90, images: 3 });
    expect(await quoted(key, { n: 3, model: pro })).toEqual({ credits: 27, images: 3 });
  });

  it("is what the submission then holds", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 1_000, prices: { [pro]: 11 } });
    const { credits } = (await quoted(key, { n: 3, model: pro })) as { credits: number };
    expect((await submit(gateway, key, { n: 3, model: pro })).status).toBe(200);
    expect(await moneyOf(gateway, id)).toMatchObject({ held: credits });
  });

  it("is given to who could not afford it, and to who has used up a limit", async () => {
    const poor = await gateway.makeTenant({ balance: 29 });
    expect(await quoted(poor.key)).toEqual({ credits: 30, images: 1 });
    const busy = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    await submit(gateway, busy.key);
    await expectError(await submit(gateway, busy.key), "rate_limited");
    expect(await quoted(busy.key)).toEqual({ credits: 30, images: 1 });
  });

  it("holds nothing, counts as nothing and goes nowhere", async () => {
    await deleteTasks();
    const { id, key } = await gateway.makeTenant({ balance: 100, limits: { images_per_day: 3 } });
    const before = await (await getAs(gateway, key, "/v1/usage")).json();
    const calls = gateway.simulator.control.calls().length;
    for (let i = 0; i < 5; i++) await quoted(key, { n: 3 });
    expect(await (await getAs(gateway, key, "/v1/usage")).json()).toEqual(before);
    expect(await ledgerOf(gateway, id)).toHaveLength(1);
    expect(gateway.simulator.control.calls()).toHaveLength(calls);
    expect(await countTasks()).toBe(0);
  });
});

describe("the body of a quote", () => {
  it.each([
    ["no model", { model: undefined }],
    ["an unknown model", { model: "dall-e-3" }],
    ["no prompt", { prompt: undefined }],
    ["an empty prompt", { prompt: "  " }],
    ["a prompt too long", { prompt: "p".repeat(2_001) }],
    ["n of 0", { n: 0 }],
    ["n of 6", { n: 6 }],
    ["n in a text", { n: "2" }],
    ["n of 5 for editing", { n: 5, image_urls: [reference] }],
    ["a private address", { image_urls: ["http://127.0.0.1/a.png"] }],
    ["a size that is none", { size: "huge" }],
    ["sides too long", { size: { width: 64, height: 4_097 } }],
    ["a negative prompt too long", { negative_prompt: "n".repeat(501) }],
    ["a seed too large", { seed: 2_147_483_648 }],
    ["expansion without editing", { enable_prompt_expansion: true }],
    ["a callback that is no https", { callback_url: "http://hooks.example/x" }],
    ["a callback to the gateway itself", { callback_url: "https://gateway.example/hook" }],
    ["metadata that is no text", { metadata: { a: 1 } }],
    ["an end user too long", { end_user: "e".repeat(129) }],
    ["a field that is none", { quality: "high" }],
    ["several faults at once", { n: 9, size: "huge", surplus: 1 }],
  ])("is refused as a submission is: %s", async (_what, fields) => {
    const { key } = await gateway.makeTenant();
    const shown = async (response: Response) => {
      const { error } = (await response.json()) as { error: object };
      return { status: response.status, error };
    };
    const submitted = await shown(await gateway.post(generations, { ...goodBody, ...fields }, bearer(key)));
    expect(submitted.status).toBe(400);
    expect(await shown(await ask(key, fields))).toEqual(submitted);
  });

  it("is refused when it is no JSON, too large or of another type", async () => {
    const { key } = await gateway.makeTenant();
    const send = (body: string, type = "application/json") =>
      gateway.fetch("/v1/quote", { method: "POST", headers: { ...bearer(key), "content-type": type }, body });
    await expectError(await send("{"), "invalid_json");
    await expectError(await send("{}", "text/plain"), "unsupported_media_type");
    await expectError(await send("{}".padEnd(65_537)), "body_too_large");
  });

  it("is refused to a browser key where its submission would be", async () => {
    const { id } = await gateway.makeTenant();
    const origin = "https://app.example";
    const { key } = await makeKey(gateway, id, { kind: "browser", allowed_origins: [origin] });
    expect(await quoted(key, { n: 4 }, { origin })).toEqual({ credits: 120, images: 4 });
    for (const [fields, code, param] of [
      [{ n: 5 }, "invalid_request", "n"],
      [{ callback_url: "https://hooks.example/x" }, "scope_denied", "callback_url"],
    ] as const) {
      const headers = { ...bearer(key), origin };
      const submitted = await gateway.post(generations, { ...goodBody, ...fields }, headers);
      await expectError(submitted, code, param);
      await expectError(await ask(key, fields, { origin }), code, param);
    }
  });
});

describe("who asks for a quote", () => {
  it("may be a key of any scope, and a browser key from its own page", async () => {
    const { id } = await gateway.makeTenant();
    for (const scopes of [["images"], ["manage"]]) {
      expect(await quoted((await makeKey(gateway, id, { scopes })).key)).toEqual({ credits: 30, images: 1 });
    }
    const allowed_origins = ["https://app.example"];
    const { key } = await makeKey(gateway, id, { kind: "browser", allowed_origins });
    expect(await quoted(key, {}, { origin: "https://app.example" })).toEqual({ credits: 30, images: 1 });
    await expectError(await ask(key, {}, { origin: "https://evil.example" }), "origin_not_allowed");
  });

  it("has to be allowed the model", async () => {
    const { id } = await gateway.makeTenant();
    const { key } = await makeKey(gateway, id, { models: [pro] });
    await expectError(await ask(key), "model_not_allowed", "model");
    expect(await quoted(key, { model: pro })).toEqual({ credits: 75, images: 1 });
    await gateway.admin("PATCH", `/tenants/${id}`, { models: [std] });
    await expectError(await ask(key, { model: pro }), "model_not_allowed", "model");
  });

  it("needs a key", async () => {
    const { id, key } = await gateway.makeTenant();
    await expectError(await gateway.post("/v1/quote", goodBody), "missing_key");
    await expectError(await ask(`${key}0`), "invalid_key");
    await gateway.admin("PATCH", `/tenants/${id}`, { status: "suspended" });
    await expectError(await ask(key), "tenant_suspended");
  });
});
