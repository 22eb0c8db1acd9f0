/** Whose request is this? A key that this gateway did not make costs one check and no storage call. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { formatKey } from "../../src/domain/keys.ts";
import { bearer, origin, startGateway, submitTask } from "../helpers/gateway.ts";
import {
  type Code,
  expectError,
  generations,
  goodBody,
  makeKey,
  read,
  recordBindings,
  submit,
} from "../helpers/routes.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
let tenant = { id: "", key: "", keyId: "" };
let other = tenant;
let taskId = "";
beforeAll(async () => {
  tenant = await gateway.makeTenant();
  other = await gateway.makeTenant();
  taskId = (await submitTask(gateway, tenant.key)).id;
});
beforeEach(() => {
  bindings.calls.length = 0;
});

/** Sends this to every operation that wants a key, and expects the same refusal of each. */
async function expectRefused(headers: Record<string, string>, code: Code): Promise<void> {
  const replies = [
    await gateway.post(generations, goodBody, headers),
    await gateway.fetch(`/v1/tasks/${taskId}`, { headers }),
    await gateway.fetch("/v1/nothing", { headers }),
  ];
  for (const reply of replies) {
    if (reply.status === 401) expect(reply.headers.get("www-authenticate")).toMatch(/^Bearer\b/);
    await expectError(reply, code);
  }
}

describe("a request without a usable key", () => {
  it("is refused as one without a key", async () => {
    await expectRefused({}, "missing_key");
    expect(bindings.calls).toEqual([]);
  });

  it.each(["", " ", "Bearer", "bearer ", "Bearer  "])(
    "is missing where its Authorization has none: %j",
    async (authorization) => {
      await expectRefused({ authorization }, "missing_key");
      expect(bindings.calls).toEqual([]);
    },
  );

  it.each(["Basic dXNlcjpwYXNz", "Token wsk_x", "wsk_x", "Bearer a b", "Bearer a, Bearer b"])(
    "is refused whatever else its Authorization says: %j",
    async (authorization) => {
      await expectRefused({ authorization }, "invalid_key");
      expect(bindings.calls).toEqual([]);
    },
  );

  it("is refused even with the key where it does not belong", async () => {
    await expectRefused({ "x-api-key": tenant.key, cookie: tenant.key }, "missing_key");
    const inQuery = await gateway.fetch(`/v1/tasks/${taskId}?key=${tenant.key}`);
    await expectError(inQuery, "missing_key");
  });

  it("may spell the scheme as it likes when it has one", async () => {
    for (const scheme of ["Bearer", "bearer", "BEARER", "Bearer "]) {
      const headers = { authorization: `${scheme} ${tenant.key}` };
      expect((await gateway.fetch(`/v1/tasks/${taskId}`, { headers })).status).toBe(200);
    }
  });
});

const flip = (text: string) => text.slice(0, -1) + (text.endsWith("0") ? "1" : "0");

const flipFirst = (text = "") => (text.startsWith("0") ? "1" : "0") + text.slice(1);

const forgeries: [string, (parts: string[]) => string][] = [
  ["another kind", ([, ...rest]) => ["wbk", ...rest].join("_")],
  ["another kind that is none", ([, ...rest]) => ["sk", ...rest].join("_")],
  ["another tenant", ([kind, , ...rest]) => [kind, other.id, ...rest].join("_")],
  ["a tenant that is not there", ([kind, id = "", ...rest]) => [kind, flip(id), ...rest].join("_")],
  ["another id", ([kind, id, key = "", ...rest]) => [kind, id, flip(key), ...rest].join("_")],
  ["another secret", ([kind, id, key, secret = "", check]) => [kind, id, key, flip(secret), check].join("_")],
  ["another check value", (parts) => flip(parts.join("_"))],
  [
    "another first character of the check value",
    (parts) => [...parts.slice(0, 4), flipFirst(parts[4])].join("_"),
  ],
  ["the check value in capitals", (parts) => [...parts.slice(0, 4), parts[4]?.toUpperCase()].join("_")],
  ["no check value", (parts) => parts.slice(0, 4).join("_")],
  ["an empty check value", (parts) => [...parts.slice(0, 4), ""].join("_")],
  ["a check value cut short", (parts) => parts.join("_").slice(0, -1)],
  ["one character more", (parts) => `${parts.join("_")}0`],
  ["a full stop behind it", (parts) => `${parts.join("_")}.`],
  ["itself twice", (parts) => `${parts.join("_")}${parts.join("_")}`],
  ["10,000 characters", () => `wsk_${"a".repeat(10_000)}`],
  ["the operator's key", () => gateway.config.ADMIN_API_KEY],
  ["the upstream's key", () => gateway.config.UPSTREAM_API_KEY],
];

describe("a forged key", () => {
  it.each(forgeries)("is refused without a storage call: %s", async (_what, forge) => {
    const forged = forge(tenant.key.split("_"));
    expect(forged).not.toBe(tenant.key);
    await expectRefused(bearer(forged), "invalid_key");
    expect(bindings.calls).toEqual([]);
  });

  it("is one that another gateway signed, too", async () => {
    const elsewhere = startGateway({
      vars: { KEY_SIGNING_SECRET: "another-signing-secret-0123456789abcdef" },
    });
    const { key } = await elsewhere.makeTenant({ id: `e${tenant.id.slice(2)}` });
    await expectRefused(bearer(key), "invalid_key");
    expect(bindings.calls).toEqual([]);
  });
});

describe("a key with a good check value", () => {
  it("is good after the signing secret changed, as long as the previous one is configured", async () => {
    const KEY_SIGNING_SECRET = "another-signing-secret-0123456789abcdef";
    const rotated = { KEY_SIGNING_SECRET, KEY_SIGNING_SECRET_PREVIOUS: gateway.config.KEY_SIGNING_SECRET };
    const after = startGateway({ vars: rotated, beside: gateway });
    expect((await read(after, tenant.key, taskId)).status).toBe(200);
    expect((await submit(after, tenant.key)).status).toBe(200);
    const done = startGateway({ vars: { KEY_SIGNING_SECRET }, beside: gateway });
    await expectError(await read(done, tenant.key, taskId), "invalid_key");
  });

  it.each([
    ["an unknown id", () => ({ tenantId: tenant.id, keyId: "key-0000000000000000" })],
    ["an unknown tenant", () => ({ tenantId: "no-such", keyId: tenant.keyId })],
    ["another tenant's id", () => ({ tenantId: other.id, keyId: tenant.keyId })],
    ["another secret under a known id", () => ({ tenantId: tenant.id, keyId: tenant.keyId })],
  ])("is refused all the same with %s", async (_what, names) => {
    const [signer] = gateway.invocation().signers.keys;
    if (!signer) throw new Error("no signer");
    const key = await formatKey(signer, { kind: "secret", ...names() }, new Uint8Array(32).fill(9));
    await expectError(await submit(gateway, key), "invalid_key");
    await expectError(await read(gateway, key, taskId), "invalid_key");
  });

  it("is refused once it has expired, and not a moment before", async () => {
    const expires_at = Math.floor(gateway.now() / 1000) + 3_600;
    const { key } = await makeKey(gateway, tenant.id, { expires_at });
    gateway.advance(expires_at * 1000 - gateway.now() - 1);
    expect((await read(gateway, key, taskId)).status).toBe(200);
    expect((await submit(gateway, key)).status).toBe(200);
    gateway.advance(1);
    await expectError(await read(gateway, key, taskId), "invalid_key");
    await expectError(await submit(gateway, key), "invalid_key");
  });

  it("gets one answer whether it is forged, unknown, revoked or expired", async () => {
    const expires_at = Math.floor(gateway.now() / 1000) + 10;
    const expired = await makeKey(gateway, tenant.id, { expires_at });
    const revoked = await makeKey(gateway, tenant.id, {});
    await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${revoked.id}`);
    gateway.advance(11_000);
    const answers = new Set<string>();
    for (const key of [flip(tenant.key), expired.key, revoked.key]) {
      for (const response of [await read(gateway, key, taskId), await submit(gateway, key)]) {
        const { error } = (await response.json()) as { error: unknown };
        answers.add(JSON.stringify([response.status, response.headers.get("www-authenticate"), error]));
      }
    }
    expect(answers.size).toBe(1);
  });

  it("needs the scope images for all that makes or reads tasks", async () => {
    const { key } = await makeKey(gateway, tenant.id, { scopes: ["manage"] });
    await expectError(await submit(gateway, key), "scope_denied");
    await expectError(await read(gateway, key, taskId), "scope_denied");
    await expectError(await read(gateway, key, "task-unknown"), "scope_denied");
    const images = await makeKey(gateway, tenant.id, { scopes: ["images"] });
    expect((await submit(gateway, images.key)).status).toBe(200);
    expect((await read(gateway, images.key, taskId)).status).toBe(200);
  });
});

describe("a secret key in a web page", () => {
  it.each([
    "https://shop.example",
    "http://gateway.example",
    "https://gateway.example:8443",
    "https://gateway.example.evil.example",
    "null",
    "",
  ])("is refused with the origin %j, and the text says what a proxy has to do", async (from) => {
    const headers = { ...bearer(tenant.key), origin: from };
    await expectRefused(headers, "secret_key_in_browser");
    expect(bindings.calls).toEqual([]);
    const message = await expectError(
      await gateway.post(generations, goodBody, headers),
      "secret_key_in_browser",
    );
    expect(message).toMatch(/\bOrigin\b/);
  });

  it("is good with the gateway's own origin, and the reply says so to the page", async () => {
    const headers = { ...bearer(tenant.key), origin };
    for (const response of [
      await gateway.post(generations, goodBody, headers),
      await gateway.fetch(`/v1/tasks/${taskId}`, { headers }),
    ]) {
      expect(response.status).toBe(200);
      expect(response.headers.get("access-control-allow-origin")).toBe(origin);
      expect(response.headers.get("vary")).toMatch(/\bOrigin\b/i);
    }
  });

  it("is good with the origin of the gateway's public address", async () => {
    const PUBLIC_BASE_URL = "https://images.shop.example";
    const behind = startGateway({ vars: { PUBLIC_BASE_URL }, beside: gateway });
    const headers = { ...bearer(tenant.key), origin: PUBLIC_BASE_URL };
    expect((await behind.fetch(`/v1/tasks/${taskId}`, { headers })).status).toBe(200);
  });

  it("gets the same answer as any other one while it is forged", async () => {
    await expectRefused({ ...bearer(flip(tenant.key)), origin: "https://shop.example" }, "invalid_key");
  });
});
