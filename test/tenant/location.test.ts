/** The call that reaches a tenant's object first decides where it lives for good, so each call says where. */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { type TenantStub, tenantStub } from "../../src/platform/tenant-stub.ts";
import { startGateway } from "../helpers/gateway.ts";
import { expectError } from "../helpers/routes.ts";

/** The options of each call that a stub makes, by method. */
async function optionsOf(hint: Parameters<typeof tenantStub>[3]): Promise<[string, unknown][]> {
  const given: [string, unknown][] = [];
  let method = "";
  const answering = new Proxy({}, { get: () => async () => null });
  const namespace = {
    getByName(_name: string, options?: object) {
      given.push([method, options]);
      return answering;
    },
  } as unknown as Env["TENANTS"];
  const spender = { now: () => 0, spent: { rowsRead: 0, rowsWritten: 0, ms: {} } };
  const stub = tenantStub({ TENANTS: namespace }, spender, "acme", hint);
  for (method of Object.keys(stub)) await (stub[method as keyof TenantStub] as () => Promise<unknown>)();
  expect(given.length).toBeGreaterThan(5);
  return given;
}

it("every call names the region that is configured", async () => {
  for (const [method, options] of await optionsOf("weur"))
    expect([method, options]).toEqual([method, { locationHint: "weur" }]);
});

it("a tenant that is made with one of its own has that, also where another is configured", async () => {
  const given: unknown[] = [];
  const { getByName } = env.TENANTS;
  env.TENANTS.getByName = (name, options) => {
    given.push(options);
    return getByName.call(env.TENANTS, name, options);
  };
  const gateway = startGateway({ vars: { TENANT_LOCATION_HINT: "weur" } });
  const { id } = await gateway.makeTenant({ location_hint: "apac" });
  const { id: other } = await gateway.makeTenant();
  env.TENANTS.getByName = getByName;
  expect([given[0], given.at(-1)]).toEqual([{ locationHint: "apac" }, { locationHint: "weur" }]);
  const shown = async (tenant: string) => (await gateway.admin("GET", `/tenants/${tenant}`)).json();
  expect(await shown(id)).toMatchObject({ location_hint: "apac" });
  expect(await shown(other)).toMatchObject({ location_hint: null });
  const refused = await gateway.admin("POST", "/tenants", { name: "Far", location_hint: "moon" });
  await expectError(refused, "invalid_request", "location_hint");
});

it("no call names one when none is", async () => {
  for (const [method, options] of await optionsOf(null)) expect([method, options]).toEqual([method, {}]);
});
