/** D1 answers no call, and fails none, as in a stall of half a minute: callers who submit, ask again or read do not feel it. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it } from "vitest";
import { moneyOf } from "../../helpers/credits.ts";
import { type Around, bearer, type ShownTask, startGateway } from "../../helpers/gateway.ts";
import { deleteTasks, generations, goodBody, read } from "../../helpers/routes.ts";
import { objectsInUse } from "../../helpers/setup.ts";
import { objectOf } from "../../helpers/tenant-object.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

beforeEach(deleteTasks);

/** While it is closed, calls to D1 take effect, and their answers wait. */
let answers: { opened: Promise<void>; open: () => void } | undefined;
function stall(): void {
  const { promise, resolve } = Promise.withResolvers<void>();
  answers = { opened: promise, open: resolve };
}
function answerAgain(): void {
  answers?.open();
  answers = undefined;
}
afterEach(answerAgain);

const asked: string[] = [];
const around: Around = async (name, call) => {
  asked.push(name);
  const result = await call();
  if (name.startsWith("D1")) await answers?.opened;
  return result;
};

async function start() {
  // In virtual time a request is over with its reply, whatever goes on beside.
  const gateway = startGateway({ time: virtualTime(), around });
  return { gateway, ...(await gateway.makeTenant({ balance: 100 })) };
}

interface Flushed {
  flush(): Promise<void>;
}

const rowsOf = async (id: string) =>
  (await env.DB.prepare("SELECT state FROM tasks WHERE id = ?1").bind(id).all()).results;

/** A call to the database is given up after ten seconds: who waited for that has waited for the database. */
const timeout = 8_000;

it("a submission is taken, asked for again and read, and is in the database once when that answers", {
  timeout,
}, async () => {
  const { gateway, id: tenant, key } = await start();
  stall();
  const headers = { ...bearer(key), "idempotency-key": "order-1" };
  const first = await gateway.post(generations, goodBody, headers);
  expect(first.status).toBe(200);
  const { id } = (await first.json()) as ShownTask;
  const again = await gateway.post(generations, goodBody, headers);
  expect([again.headers.get("idempotency-replayed"), ((await again.json()) as ShownTask).id]).toEqual([
    "true",
    id,
  ]);
  expect(await (await read(gateway, key, id)).json()).toMatchObject({ id, status: "pending" });
  answerAgain();
  await Promise.all(objectsInUse().map((object) => (object as unknown as Flushed).flush()));
  expect(await rowsOf(id)).toEqual([{ state: "submitted" }]);
  expect(gateway.simulator.control.tasks()).toHaveLength(1);
  expect(await moneyOf(gateway, tenant)).toMatchObject({ held: 30 });
});

it("a task that has moved on is not shown as it began, where the database is slow and its object was made anew", {
  timeout: 20_000,
}, async () => {
  const { gateway, id: tenant, key } = await start();
  const response = await gateway.post(generations, goodBody, bearer(key));
  const { id } = (await response.json()) as ShownTask;
  await Promise.all(objectsInUse().map((object) => (object as unknown as Flushed).flush()));
  await env.DB.prepare("UPDATE tasks SET processing = 1, progress = 40 WHERE id = ?1").bind(id).run();
  await evictDurableObject(objectOf(tenant));
  stall();
  asked.length = 0;
  const reading = read(gateway, key, id);
  // It asks the object after a second, and waits on for the database.
  await expect.poll(() => asked.includes("object readYoung"), { timeout: 5_000 }).toBe(true);
  answerAgain();
  expect(await (await reading).json()).toMatchObject({ status: "processing", progress: 40 });
});
