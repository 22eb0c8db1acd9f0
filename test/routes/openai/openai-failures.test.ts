/**
 * A task that fails while its caller waits: 400 where the request is at fault, else 500, never to be attempted again by
 * itself, and never charged.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { type TaskFailureCode, taskFailures } from "../../../src/domain/failures.ts";
import { moneyOf } from "../../helpers/credits.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { ask, attempted, taskIdOf } from "../../helpers/openai.ts";
import { deleteTasks } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const gateway = startGateway({ time: virtualTime() });
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
  tenant = await gateway.makeTenant({ balance: 500 });
});

/** Written down a second time on purpose, as the table of errors is. */
const statuses: Record<TaskFailureCode, 400 | 500> = {
  content_policy_violation: 400,
  invalid_parameters: 400,
  image_processing_error: 400,
  image_dimension_mismatch: 400,
  generation_failed_no_content: 500,
  generation_timeout: 500,
  service_unavailable: 500,
  upstream_rejected: 500,
  task_timeout: 500,
  submit_outcome_unknown: 500,
  storage_failed: 500,
  unknown_error: 500,
};

/** What the upstream never says of a task: the gateway's own findings. */
const own: TaskFailureCode[] = [
  "upstream_rejected",
  "task_timeout",
  "submit_outcome_unknown",
  "storage_failed",
];
const upstreams = (Object.keys(statuses) as TaskFailureCode[]).filter((code) => !own.includes(code));

async function expectFailure(response: Response, code: TaskFailureCode): Promise<void> {
  expect(response.status).toBe(statuses[code]);
  expect(await response.json()).toEqual({
    error: {
      code,
      message: taskFailures[code].message,
      type: statuses[code] === 400 ? "invalid_request_error" : "api_error",
      param: null,
      retryable: false,
      charged: "no",
    },
    request_id: response.headers.get("x-request-id"),
  });
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(response.headers.get("content-type")).toMatch(/^application\/json\b/);
  expect(taskIdOf(response)).toMatch(/^task-/);
}

describe("a task that fails", () => {
  it("has every code of the product's in this table", () => {
    expect(new Set(Object.keys(statuses))).toEqual(new Set(Object.keys(taskFailures)));
  });

  it.each(upstreams)("with %s has its status, and costs nothing", async (code) => {
    const prompt = `a boat [sim:seconds=5] [sim:fail=${code}]`;
    await expectFailure(await ask(gateway, tenant.key, { prompt }), code);
    expect(await moneyOf(gateway, tenant.id)).toEqual({ balance: 500, held: 0, available: 500 });
  });

  it.each(own)("with %s has its status", async (code) => {
    const waiting = ask(gateway, tenant.key, { prompt: "a boat [sim:seconds=900]" });
    await gateway.sleep(5_000);
    // These take an hour and more to come by: the row is all that the reply is made from.
    const ended = "UPDATE tasks SET state = 'failed', error_code = ?, version = version + 1";
    await env.DB.prepare(ended).bind(code).run();
    await expectFailure(await waiting, code);
  });

  it("is a failure with a status for who wanted events, too", async () => {
    const prompt = "a boat [sim:seconds=5] [sim:fail]";
    await expectFailure(await ask(gateway, tenant.key, { prompt, stream: true }), "content_policy_violation");
  });

  it("fails the client's own retry with the same task", async () => {
    const fields = { prompt: "a boat [sim:seconds=5] [sim:fail=generation_timeout]" };
    const first = await ask(gateway, tenant.key, fields);
    const again = await ask(gateway, tenant.key, fields, attempted(1));
    expect(taskIdOf(again)).toBe(taskIdOf(first));
    await expectFailure(again, "generation_timeout");
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });

  it("says nothing of the upstream", async () => {
    const response = await ask(gateway, tenant.key, { prompt: "a boat [sim:seconds=5] [sim:leak]" });
    expect(await response.text()).not.toMatch(/dashscope|evolink|channel|acct|sk-/);
  });

  it("is logged by its code", async () => {
    gateway.logs.length = 0;
    const response = await ask(gateway, tenant.key, { prompt: "a boat [sim:seconds=5] [sim:fail]" });
    const line = gateway.logs.find(({ event, method }) => event === "request" && method === "POST");
    expect(line).toMatchObject({
      status: 400,
      code: "content_policy_violation",
      task: taskIdOf(response),
      tenant: tenant.id,
    });
  });
});
