/** Who sees a tenant's money: the tenant's server, and no visitor of its page. */
import { describe, expect, it } from "vitest";
import { startGateway } from "../../helpers/gateway.ts";
import { expectError, goodBody, makeKey, submit } from "../../helpers/routes.ts";

const page = "https://app.example";

describe("a balance that does not cover a task", () => {
  it("is shown to a secret key, and kept from a browser key's holders", async () => {
    const gateway = startGateway();
    const { id, key } = await gateway.makeTenant({ balance: 47 });
    const { key: browserKey } = await makeKey(gateway, id, { kind: "browser", allowed_origins: [page] });
    const body = { ...goodBody, n: 2 };

    const received = await expectError(await submit(gateway, key, body), "insufficient_balance");
    expect(received).toBe("This costs 60 credits, and 47 are available.");

    const headers = { authorization: `Bearer ${browserKey}`, origin: page };
    const refused = await gateway.post("/v1/images/generations", body, headers);
    const kept = await expectError(refused, "insufficient_balance");
    expect(kept).not.toMatch(/\d|credits/);
  });
});
