/** One tenant's object that fails or hangs: what is erased of others goes on, and its own once it is back. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { eraseDue, roomOfConsumer } from "../../../src/flows/erasure/erase-due.ts";
import type { Invocation } from "../../../src/platform/invocation.ts";
import { erasedTasks, insertEndedTasks, insertTenants, namesOf } from "../../helpers/ended-tasks.ts";
import { startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";

beforeEach(emptyStores);

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** An invocation in which one tenant's object fails, after some time. */
function withObjectAway(gateway: TestGateway, away: string, ms: number): Invocation {
  const made = gateway.invocation();
  const fails = async () => {
    await made.sleep(ms);
    throw new Error("overloaded");
  };
  return {
    ...made,
    tenant: (id, hint) =>
      id === away
        ? ({ ...made.tenant(id, hint), erase: fails, flush: fails } as never)
        : made.tenant(id, hint),
  };
}

describe("one tenant's object", () => {
  it.each([
    ["that fails", 0],
    ["that hangs", 10_000],
  ])(
    "%s holds up no other tenant: retention and deletion go on",
    async (_, ms) => {
      const gateway = startGateway();
      const tenants = namesOf(30);
      await insertTenants(tenants, 2);
      for (const tenantId of tenants) {
        await insertEndedTasks({
          tenantId,
          count: 300,
          fromMs: gateway.now() - 3 * dayMs,
          hasPicture: tenantId === "t-000",
        });
      }
      await env.DB.prepare("UPDATE tenants SET status = 'suspended', deleted_ms = ?1 WHERE id > 't-019'")
        .bind(gateway.now())
        .run();
      const invocation = withObjectAway(gateway, "t-000", ms);
      for (let minute = 0; minute < 3; minute++) {
        const untilMs = invocation.now() + minuteMs;
        while (await eraseDue(invocation, { ...roomOfConsumer, untilMs }));
        gateway.advance(minuteMs);
      }
      const { results } = await env.DB.prepare(
        "SELECT tenant_id, count(*) AS n FROM tasks WHERE erasure <> 'done' GROUP BY tenant_id",
      ).all();
      expect(results).toEqual([{ tenant_id: "t-000", n: 300 }]);
      const ended = await env.DB.prepare("SELECT count(*) AS n FROM tenants WHERE erased_ms > 0").first("n");
      expect(ended).toBe(10);
      expect(gateway.logs.filter(({ event }) => event === "not_erased")).not.toEqual([]);
      expect(new Set(gateway.logs.filter(({ level }) => level).map(({ tenant }) => tenant))).toEqual(
        new Set(["t-000"]),
      );
      // Its text and pictures do not wait for the object.
      const text = await env.DB.prepare("SELECT count(*) AS n FROM tasks WHERE erasure = 'none'").first("n");
      expect(Number(text)).toBeLessThan(300);
      // Once it is back, all of it goes.
      gateway.advance(2 * minuteMs);
      await gateway.tick();
      expect(await erasedTasks()).toEqual({ done: 30 * 300 });
    },
    60_000,
  );
});
