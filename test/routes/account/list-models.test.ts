/** `GET /v1/models`: the models that tenant, key and token all allow, in OpenAI's shape, at this tenant's prices. */
import { describe, expect, it } from "vitest";
import { getAs } from "../../helpers/credits.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { expectError, makeKey, recordBindings, submit } from "../../helpers/routes.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
const std = "wan-2.7-image";
const pro = "wan-2.7-image-pro";
const page = { origin: "https://app.example" };

interface Shown {
  id: string;
  price: number;
}

async function listed(key: string, headers: Record<string, string> = {}): Promise<Shown[]> {
  const response = await gateway.fetch("/v1/models", { headers: { ...bearer(key), ...headers } });
  expect(response.status).toBe(200);
  return ((await response.json()) as { data: Shown[] }).data;
}
const ids = async (key: string, headers?: Record<string, string>) =>
  (await listed(key, headers)).map(({ id }) => id);

async function tokenOf(key: string, models?: string[]): Promise<string> {
  const body = { allowed_origins: [page.origin], models };
  const response = await gateway.post("/v1/client-tokens", body, bearer(key));
  expect(response.status).toBe(201);
  return ((await response.json()) as { token: string }).token;
}

describe("the list of models", () => {
  it("has OpenAI's shape, and the price of an image", async () => {
    const { key } = await gateway.makeTenant();
    const response = await getAs(gateway, key, "/v1/models");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const model = { object: "model", created: expect.any(Number), owned_by: "wan-gateway" };
    expect(await response.json()).toEqual({
      object: "list",
      data: [
        { ...model, id: std, price: 30 },
        { ...model, id: pro, price: 75 },
      ],
    });
  });

  it("has the tenant's own prices over the gateway's, from their change on", async () => {
    const { id, key } = await gateway.makeTenant({ prices: { [pro]: 0 } });
    expect(await listed(key)).toMatchObject([{ price: 30 }, { price: 0 }]);
    await gateway.admin("PATCH", `/tenants/${id}`, { prices: { [std]: 12 } });
    expect(await listed(key)).toMatchObject([{ price: 12 }, { price: 75 }]);
  });

  it("has the gateway's prices as they are configured", async () => {
    const dear = startGateway({ vars: { PRICES: JSON.stringify({ [std]: 1, [pro]: 2 }) } });
    const { key } = await dear.makeTenant();
    const { data } = (await (await getAs(dear, key, "/v1/models")).json()) as { data: Shown[] };
    expect(data.map(({ price }) => price)).toEqual([1, 2]);
  });

  it("is of those that tenant and key both allow", async () => {
    const { id, key } = await gateway.makeTenant();
    const proOnly = await makeKey(gateway, id, { models: [pro] });
    expect(await ids(key)).toEqual([std, pro]);
    expect(await ids(proOnly.key)).toEqual([pro]);
    await gateway.admin("PATCH", `/tenants/${id}`, { models: [std] });
    expect(await ids(key)).toEqual([std]);
    expect(await ids(proOnly.key)).toEqual([]);
    await gateway.admin("PATCH", `/tenants/${id}`, { models: null });
    expect(await ids(key)).toEqual([std, pro]);
  });

  it("is of those that a token and the key behind it allow", async () => {
    const { id, key } = await gateway.makeTenant();
    expect(await ids(await tokenOf(key), page)).toEqual([std, pro]);
    expect(await ids(await tokenOf(key, [pro]), page)).toEqual([pro]);
    const stdOnly = await makeKey(gateway, id, { models: [std] });
    expect(await ids(await tokenOf(stdOnly.key), page)).toEqual([std]);
  });

  it("is what a submission is held to", async () => {
    const { key } = await gateway.makeTenant({ models: [std] });
    await expectError(await submit(gateway, key, { model: pro }), "model_not_allowed", "model");
    expect((await submit(gateway, key, { model: std })).status).toBe(200);
  });

  it("is for every kind of key that is authorized, and for no other", async () => {
    const { id, key, keyId } = await gateway.makeTenant();
    for (const scopes of [["images"], ["manage"]]) {
      expect(await ids((await makeKey(gateway, id, { scopes })).key)).toEqual([std, pro]);
    }
    const browser = await makeKey(gateway, id, { kind: "browser", allowed_origins: [page.origin] });
    expect(await ids(browser.key, page)).toEqual([std, pro]);
    await expectError(await getAs(gateway, browser.key, "/v1/models"), "origin_not_allowed");
    const token = await tokenOf(key);
    await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`);
    await expectError(await getAs(gateway, key, "/v1/models"), "invalid_key");
    const headers = { ...bearer(token), ...page };
    await expectError(await gateway.fetch("/v1/models", { headers }), "invalid_key");
    await expectError(await gateway.fetch("/v1/models"), "missing_key");
  });

  it("costs one read, and leaves the tenant's object alone", async () => {
    const { key } = await gateway.makeTenant();
    bindings.calls.length = 0;
    await listed(key);
    expect(bindings.calls).toEqual(["D1"]);
  });
});
