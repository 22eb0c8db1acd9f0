/** Receivers that take a connection and never answer: more of them than a lane has connections. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BuiltGateway, startBuiltGateway } from "../helpers/node/built-gateway.ts";
import { type Receiver, startReceiver } from "../helpers/node/http-receiver.ts";
import { makeNotifiedTenant, query } from "../helpers/node/notified-tenant.ts";

let gateway: BuiltGateway;
let receiver: Receiver;

beforeAll(async () => {
  gateway = await startBuiltGateway();
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.close();
  await gateway.close();
});

const done = "a lighthouse [sim:seconds=0]";
/** More than three lanes have connections for, each with a tenant of its own: of one tenant only two are under way. */
const hanging = 24;

it("keep no other waiting until they are given up", async () => {
  receiver.answer("/hangs", "hang");
  for (let i = 0; i < hanging; i++) {
    const tenant = await makeNotifiedTenant(gateway, `${receiver.url}/hangs`);
    await tenant.start(done);
  }
  const tick = gateway.tick();
  // All that one lane has connections for.
  await receiver.hasReceived("/hangs", 6);
  const other = await makeNotifiedTenant(gateway, `${receiver.url}/answers`);
  await other.start(done);
  const next = gateway.tick();
  await receiver.hasReceived("/answers", 1);
  // No delivery has been given up by then.
  expect(await query(gateway, "SELECT id FROM deliveries WHERE last_problem = 'time-out'")).toEqual([]);
  await Promise.all([tick, next]);
}, 60_000);
