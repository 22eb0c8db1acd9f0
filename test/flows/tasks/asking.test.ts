/** Asking whether a task would be let in begins none, also by an object of the version before, which knows no asking. */
import { expect, it } from "vitest";
import { submit } from "../../../src/flows/tasks/submit.ts";
import type { AdmitRequest } from "../../../src/tenant/decide.ts";
import { startGateway } from "../../helpers/gateway.ts";

it("is a replay or nothing to an object that does not know it", async () => {
  const gateway = startGateway();
  const { id, keyId } = await gateway.makeTenant();
  const invocation = gateway.invocation();
  const asked: AdmitRequest[] = [];
  const tenant = (name: string) => ({
    ...invocation.tenant(name),
    begin: async (request: AdmitRequest) => {
      asked.push(request);
      // As it decides on a new request.
      return request.onlyReplay
        ? ({ kind: "no_replay", policies: [] } as const)
        : ({
            ...{ kind: "admitted", holdNumber: 1, price: 30, balanceLow: null },
            ...{ alarmMs: null, policies: [] },
          } as const);
    },
  });
  const page = { origin: null, sameOrigin: false };
  const result = await submit({ ...invocation, tenant } as typeof invocation, {
    caller: { kind: "secret", tenantId: id, keyId, keyHash: null, token: null, page },
    ...{ requestId: "req-1", origin: "https://gateway.example", model: "wan-2.7-image", endUser: null },
    ...{ input: { prompt: "a boat", n: 1 }, metadata: {}, onlyAsks: true },
    idempotency: { key: null, retries: 0, ip: null },
  });
  expect(result.kind).toBe("no_such_files");
  expect(asked).toMatchObject([{ onlyReplay: true, onlyAsks: true }]);
  expect(gateway.simulator.control.calls()).toEqual([]);
});
