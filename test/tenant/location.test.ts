/** The call that reaches a tenant's object first decides where it lives for good, so each call says where. */
import { expect, it } from "vitest";
import { type TenantStub, tenantStub } from "../../src/platform/tenant-stub.ts";

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

it("no call names one when none is", async () => {
  for (const [method, options] of await optionsOf(null)) expect([method, options]).toEqual([method, {}]);
});
