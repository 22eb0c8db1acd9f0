/** What a tenant's webhook cannot be: each is refused by name, when it is made and when it is changed, without a trace. */
import { beforeAll, describe, expect, it } from "vitest";
import { formatSecret } from "../../../src/domain/webhooks.ts";
import { typesBut } from "../../helpers/admin.ts";
import { allEvents } from "../../helpers/contract.ts";
import { readAuditLog } from "../../helpers/delivery-receiver.ts";
import { origin, startGateway } from "../../helpers/gateway.ts";
import { expectError, naming } from "../../helpers/routes.ts";

const gateway = startGateway();
const url = "https://hooks.example/in";
const secretOf = (bytes: number) => formatSecret(new Uint8Array(bytes).fill(7));

const badUrls = [
  "",
  "hooks.example/in",
  "//hooks.example/in",
  "https://",
  "http://hooks.example/in",
  "ftp://hooks.example/in",
  "javascript:alert(1)",
  "https://127.0.0.1/in",
  "https://127.1/in",
  "https://2130706433/in",
  "https://0x7f000001/in",
  "https://0177.0.0.1/in",
  "https://10.0.0.1:8443/in",
  "https://172.16.0.1/in",
  "https://192.168.1.1/in",
  "https://100.64.0.1/in",
  "https://169.254.169.254/latest",
  "https://0.0.0.0/in",
  "https://[::1]/in",
  "https://[fd00::1]/in",
  "https://[fe80::1]/in",
  "https://[::ffff:10.0.0.1]/in",
  "https://localhost/in",
  "https://app.localhost./in",
  "https://printer.local/in",
  "https://intranet/in",
  "https://user@hooks.example/in",
  "https://user:password@hooks.example/in",
  `${url}?${"x".repeat(2_048)}`,
  `${origin}/in`,
  "https://GATEWAY.example/in",
  "https://gateway.example:8443/in",
  "https://gateway.example./in",
  "https://gateway.example.:8443/in",
];

const bad: [string, string, unknown][] = [
  ...typesBut("object", "null").map(([type, value]): [string, string, unknown] => ["webhook", type, value]),
  ["webhook.url", "missing", {}],
  ...typesBut("string").map(([type, value]): [string, string, unknown] => [
    "webhook.url",
    type,
    { url: value },
  ]),
  ...badUrls.map((text): [string, string, unknown] => ["webhook.url", text.slice(0, 60), { url: text }]),
  ["webhook.token", "an unknown field", { url, token: "x" }],
  ["webhook.status", "a field that is only shown", { url, status: "on" }],
  ...typesBut("array").map(([type, value]): [string, string, unknown] => [
    "webhook.events",
    type,
    { url, events: value },
  ]),
  ["webhook.events", "none", { url, events: [] }],
  ["webhook.events.0", "unknown", { url, events: ["task.done"] }],
  ["webhook.events.1", "one of them unknown", { url, events: ["task.failed", "*"] }],
  ["webhook.events.0", "no text", { url, events: [1] }],
  ["webhook.events", "more than there are", { url, events: [...allEvents, "task.failed"] }],
  ...typesBut("string").map(([type, value]): [string, string, unknown] => [
    "webhook.secret",
    type,
    { url, secret: value },
  ]),
  ["webhook.secret", "empty", { url, secret: "" }],
  ["webhook.secret", "without prefix", { url, secret: secretOf(32).slice(6) }],
  ["webhook.secret", "another prefix", { url, secret: secretOf(32).replace("whsec_", "whsk_") }],
  ["webhook.secret", "23 bytes", { url, secret: secretOf(23) }],
  ["webhook.secret", "65 bytes", { url, secret: secretOf(65) }],
  ["webhook.secret", "no base64", { url, secret: `whsec_${"?".repeat(44)}` }],
];

describe("a webhook that cannot be", () => {
  let id = "";
  let before: object = {};
  const state = async () => ({
    tenants: await (await gateway.admin("GET", "/tenants?limit=100")).json(),
    acts: await readAuditLog(gateway),
  });
  beforeAll(async () => {
    ({ id } = await gateway.makeTenant({ webhook: { url, events: ["task.failed"] } }));
    before = await state();
  });

  it.each(bad)("is refused, naming %s: %s", async (field, _what, webhook) => {
    for (const ask of [
      () => gateway.admin("POST", "/tenants", { name: "Shop", webhook }),
      () => gateway.admin("PATCH", `/tenants/${id}`, { name: "Changed", balance: 5, webhook }),
    ]) {
      const message = await expectError(await ask(), "invalid_request", "webhook");
      expect(message).toMatch(naming(field.replaceAll(".", "\\.")));
      // A text of the length of a secret is not said back, whatever is wrong with it.
      expect(message).not.toContain("Bwc");
    }
    expect(await (await gateway.admin("GET", "/tenants?limit=100")).json()).toEqual(
      (before as { tenants: object }).tenants,
    );
  });

  it("is listed beside all other faults", async () => {
    const webhook = { url: "http://hooks.example", events: [], secret: "x" };
    const response = await gateway.admin("POST", "/tenants", { name: "", webhook });
    const message = await expectError(response, "invalid_request", "name");
    for (const field of ["name", "webhook\\.url", "webhook\\.events", "webhook\\.secret"]) {
      expect(message).toMatch(naming(field));
    }
  });

  it("left no tenant, no change and no line in the audit log", async () => {
    expect(await state()).toEqual(before);
  });
});

describe("a webhook at the bounds", () => {
  it.each([
    ["a URL of 2,048 characters", { url: url.padEnd(2_048, "x") }],
    ["another port, and a query", { url: "https://hooks.example:8443/in?a=b" }],
    ["a public address", { url: "https://1.1.1.1/in" }],
    ["a host that ends like the gateway's", { url: "https://not-gateway.example/in" }],
    ["a host under the gateway's", { url: "https://hooks.gateway.example/in" }],
    ["a secret of 24 bytes", { url, secret: secretOf(24) }],
    ["a secret of 64 bytes", { url, secret: secretOf(64) }],
    ["all events", { url, events: allEvents }],
    ["one event", { url, events: ["balance.low"] }],
  ])("is taken: %s", async (_what, webhook) => {
    const response = await gateway.admin("POST", "/tenants", { name: "Shop", webhook });
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ webhook: { ...webhook, status: "on" } });
  });
});

describe("a webhook on one's own machine, where ALLOW_PRIVATE_NETWORK is set", () => {
  const local = startGateway({ vars: { ALLOW_PRIVATE_NETWORK: "true" } });

  it("may lead to another port of the gateway's host, not to the gateway", async () => {
    for (const own of ["http://localhost:3000/in", "https://gateway.example:8443/in"]) {
      const response = await local.admin("POST", "/tenants", { name: "Shop", webhook: { url: own } });
      expect([own, response.status]).toEqual([own, 201]);
    }
    const looped = await local.admin("POST", "/tenants", { name: "Shop", webhook: { url: `${origin}/in` } });
    await expectError(looped, "invalid_request", "webhook");
  });
});
