/** Who may use the operator's API: the holder of its key, and for reading that of its second key. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { expectError, recordBindings } from "../../helpers/routes.ts";

const readKey = "read-only-test-key-0123456789-0123";
const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around, vars: { ADMIN_READ_KEY: readKey } });
let tenant = { id: "", key: "", keyId: "" };
beforeAll(async () => {
  tenant = await gateway.makeTenant();
});
beforeEach(() => {
  bindings.calls.length = 0;
});

const reads = () => ["/tenants", `/tenants/${tenant.id}`, `/tenants/${tenant.id}/keys`];
const writes = (): [string, string, object?][] => [
  ["POST", "/tenants", { name: "Sneaked in" }],
  ["PATCH", `/tenants/${tenant.id}`, { status: "suspended" }],
  ["POST", `/tenants/${tenant.id}/keys`, { name: "sneaked in", kind: "secret" }],
  ["DELETE", `/tenants/${tenant.id}/keys/${tenant.keyId}`],
  ["POST", "/audit"],
];

function ask(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: object,
): Promise<Response> {
  if (body === undefined) return gateway.fetch(`/admin/api${path}`, { method, headers });
  const json = { ...headers, "content-type": "application/json" };
  return gateway.fetch(`/admin/api${path}`, { method, headers: json, body: JSON.stringify(body) });
}

/** Sends every call under these headers, and expects that none gets as far as the storage. */
async function expectAllRefused(
  headers: Record<string, string>,
  code: "missing_key" | "invalid_key",
): Promise<void> {
  const calls = [
    ...reads().map((path): [string, string] => ["GET", path]),
    ...writes(),
    ["GET", "/nothing"] as const,
  ];
  for (const [method, path, body] of calls) {
    const response = await ask(method, path, headers, body);
    expect(response.headers.get("www-authenticate")).toMatch(/^Bearer\b/);
    await expectError(response, code);
  }
  expect(bindings.calls).toEqual([]);
}

describe("the operator's API", () => {
  it("answers with what no cache may keep", async () => {
    const calls = ["/overview", "/audit", "/usage?format=csv", "/tenants", `/tenants/${tenant.id}`, "/tasks"];
    for (const path of calls) {
      const response = await ask("GET", path, bearer(gateway.config.ADMIN_API_KEY));
      expect([path, response.status, response.headers.get("cache-control")]).toEqual([path, 200, "no-store"]);
    }
  });

  it("is closed to who shows no key", () => expectAllRefused({}, "missing_key"));

  it("is closed to a tenant's key", () => expectAllRefused(bearer(tenant.key), "invalid_key"));

  it("is closed to the other secrets of the configuration", async () => {
    await expectAllRefused(bearer(gateway.config.UPSTREAM_API_KEY), "invalid_key");
    await expectAllRefused(bearer(gateway.config.KEY_SIGNING_SECRET), "invalid_key");
  });

  it("is closed to what is nearly its key", async () => {
    const { ADMIN_API_KEY } = gateway.config;
    const nearly = [
      ADMIN_API_KEY.slice(0, -1),
      `${ADMIN_API_KEY}x`,
      ADMIN_API_KEY.toUpperCase(),
      `${readKey}x`,
    ];
    for (const key of nearly) await expectAllRefused(bearer(key), "invalid_key");
    await expectAllRefused({ authorization: `Basic ${ADMIN_API_KEY}` }, "invalid_key");
    await expectAllRefused({ authorization: ADMIN_API_KEY }, "invalid_key");
  });

  it("has its whole range for its key", async () => {
    for (const path of reads()) {
      expect((await ask("GET", path, bearer(gateway.config.ADMIN_API_KEY))).status).toBe(200);
    }
    const made = await ask("POST", "/tenants", bearer(gateway.config.ADMIN_API_KEY), { name: "New" });
    expect(made.status).toBe(201);
  });
});

describe("the key for reading", () => {
  it("opens every GET and its HEAD", async () => {
    for (const path of reads()) {
      expect((await ask("GET", path, bearer(readKey))).status).toBe(200);
      expect((await ask("HEAD", path, bearer(readKey))).status).toBe(200);
    }
  });

  it("opens nothing else, and nothing happens", async () => {
    for (const [method, path, body] of writes()) {
      await expectError(await ask(method, path, bearer(readKey), body), "scope_denied");
    }
    expect(bindings.calls).toEqual([]);
    await expectError(await ask("PUT", "/tenants", bearer(readKey)), "scope_denied");
    const shown = await ask("GET", `/tenants/${tenant.id}`, bearer(readKey));
    expect(await shown.json()).toMatchObject({ status: "active" });
  });

  it("is no tenant's key", async () => {
    await expectError(await gateway.fetch("/v1/tasks/task-x", { headers: bearer(readKey) }), "invalid_key");
  });

  it.each([undefined, ""])("that is not configured cannot be guessed by an empty one: %j", async (unset) => {
    const without = startGateway({ vars: { ADMIN_READ_KEY: unset } });
    for (const authorization of ["", "Bearer", "Bearer ", "Basic ", "Bearer undefined", "Bearer null"]) {
      const response = await without.fetch("/admin/api/tenants", { headers: { authorization } });
      expect([authorization, response.status]).toEqual([authorization, 401]);
    }
  });
});
