/** The Worker as the platform calls it for a Queue: each message is acked by itself, and dead letters end here. */
import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect, it } from "vitest";
import worker from "../../../src/index.ts";

async function deliver(queue: string, bodies: unknown[]) {
  const messages = bodies.map((body, index) => ({
    id: `m-${index}`,
    timestamp: new Date(0),
    attempts: 1,
    body,
  }));
  const batch = createMessageBatch(queue, messages);
  const ctx = Object.assign(createExecutionContext(), { exports });
  await worker.queue(batch as MessageBatch<unknown>, env, ctx as ExecutionContext);
  return getQueueResult(batch, ctx);
}

it.each(["wan-gateway-work", "wan-gateway-work-dead"])("acks each message of %s by itself", async (queue) => {
  const result = await deliver(queue, ["poll:gone", "settle:0", null, "nothing of ours"]);
  expect(result).toMatchObject({
    outcome: "ok",
    explicitAcks: ["m-0", "m-1", "m-2", "m-3"],
    retryMessages: [],
    ackAll: false,
  });
});

it("has those sent again that failed, and no others", async () => {
  await env.DB.prepare("ALTER TABLE work_items RENAME TO gone").run();
  try {
    const result = await deliver("wan-gateway-work", ["poll:1", null]);
    expect(result).toMatchObject({ explicitAcks: ["m-1"], retryMessages: [{ msgId: "m-0" }] });
  } finally {
    await env.DB.prepare("ALTER TABLE gone RENAME TO work_items").run();
  }
});
