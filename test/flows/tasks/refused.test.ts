/**
 * A refusal by the upstream ends the task while its caller waits. Where the database does not say whether the end was
 * written, the caller has to hear of a task that is there, or of none:
 *
 *   the end                 what the caller hears                   what the row says
 *   was written             a task, failed                          failed, in sight
 *   was not written         a task, pending                         cron sends it again
 *   it is unknown           503                                     cron sees to it
 */
import { beforeEach, describe, expect, it } from "vitest";
import { moneyOf } from "../../helpers/credits.ts";
import {
  type Around,
  bearer,
  clearTasks,
  finishTask,
  readTask,
  startGateway,
} from "../../helpers/gateway.ts";
import { hook, startWithReceiver } from "../../helpers/webhook-receiver.ts";

beforeEach(clearTasks);

const body = { model: "wan-2.7-image", prompt: "x" };

/** Breaks calls to the database by their number, counted from the refusal on. */
function breaking(broken: Record<number, "before" | "after">): Around {
  let calls: number | undefined;
  return async (name, call) => {
    if (name === "D1" && calls !== undefined) calls++;
    const side = name === "D1" && calls !== undefined ? broken[calls] : undefined;
    if (side === "before") throw new Error("the database is unavailable");
    const result = await call();
    if (name === "fetch POST") calls ??= 0;
    if (side === "after") throw new Error("the reply was lost");
    return result;
  };
}

async function start(broken: Record<number, "before" | "after">) {
  const { gateway, hosts, of } = startWithReceiver();
  const tenant = await gateway.makeTenant({ balance: 500, webhook: { url: hook } });
  const code = "content_policy_violation";
  gateway.simulator.control.script({ on: "submit", do: { kind: "error", status: 400, code } });
  const shaky = startGateway({ beside: gateway, hosts, around: breaking(broken) });
  const response = await shaky.post("/v1/images/generations", body, bearer(tenant.key));
  return { gateway, of, tenant, response };
}

describe("a refusal whose end", () => {
  it.each(["before", "after"] as const)(
    "was lost %s it was written is answered as a task that is there",
    async (side) => {
      const { gateway, of, tenant, response } = await start({ 1: side });
      expect(response.status).toBe(200);
      const { id, status } = (await response.json()) as { id: string; status: string };
      expect(status).toBe(side === "after" ? "failed" : "pending");
      expect(await readTask(gateway, tenant.key, id)).toMatchObject({ status });
      await finishTask(gateway, tenant.key, id);
      gateway.advance(60_000);
      await gateway.tick();
      expect(of(id)).toMatchObject([
        { body: { type: `task.${(await readTask(gateway, tenant.key, id)).status}` } },
      ]);
      expect((await moneyOf(gateway, tenant.id)).held).toBe(0);
    },
  );

  it("whose outcome is unknown is answered 503, and costs nothing once cron has seen to it", async () => {
    const { gateway, tenant, response } = await start({ 1: "after", 2: "before" });
    expect(response.status).toBe(503);
    gateway.advance(120_000);
    await gateway.tick();
    expect(await moneyOf(gateway, tenant.id)).toEqual({ balance: 500, held: 0, available: 500 });
  });
});
