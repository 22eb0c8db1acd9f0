/**
 * Very many due tasks at once: rows and holds made by SQL, an upstream that takes 200 ms a call, consumers side by side,
 * all in virtual time. What is not modelled: D1's own time (its calls take none) and a Queue that is slow to start
 * consumers (each message waits half a second).
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { imageKey } from "../../src/domain/task.ts";
import { readState, writeState } from "../../src/tenant/tenant-state.ts";
import { type Around, filesOrigin, startGateway, type TestGateway, upstreamOrigin } from "./gateway.ts";
import { objectOf } from "./tenant-object.ts";
import { virtualTime, withCron } from "./virtual-time.ts";

const answerMs = 200;
const price = 30;
const tenants = 20;

export interface Drained {
  /** Virtual, from the first tick to the last task's end. */
  seconds: number;
  completed: number;
  open: number;
  /** Reads of tasks that had already been said to be done. */
  readAgain: number;
  /** Tasks whose picture was fetched more or less than once. */
  notFetchedOnce: number;
  objects: number;
  puts: number;
  /** Entries in all ledgers, each of them a settlement; and what they charge. */
  settlements: number;
  charged: number;
  held: number;
  discrepancies: unknown[];
  messages: number;
  callsToD1: number;
  /** Work items that no consumer did. */
  workItemsLeft: number;
}

/** An upstream that has finished two tasks of three, and the third one when it is asked again. */
function stubUpstream(picture: Uint8Array) {
  const reads = new Map<string, number>();
  const fetched = new Map<string, number>();
  const seen = { readAgain: 0 };
  const api = (request: Request): Response => {
    const id = new URL(request.url).pathname.split("/").at(-1) ?? "";
    const count = (reads.get(id) ?? 0) + 1;
    reads.set(id, count);
    const readsToDone = Number(id.split("-")[1]) % 3 === 0 ? 2 : 1;
    if (count > readsToDone) seen.readAgain++;
    const isDone = count >= readsToDone;
    return Response.json({
      id,
      status: isDone ? "completed" : "processing",
      progress: isDone ? 100 : 50,
      results: isDone ? [`${filesOrigin}/${id}.png`] : [],
    });
  };
  const files = (request: Request): Response => {
    const id = new URL(request.url).pathname;
    fetched.set(id, (fetched.get(id) ?? 0) + 1);
    return new Response(picture as Uint8Array<ArrayBuffer>, { headers: { "content-type": "image/png" } });
  };
  return { hosts: { [upstreamOrigin]: api, [filesOrigin]: files }, seen, fetched };
}

/** Open tasks that the upstream has had for a while, and what their tenant's object holds for them. */
async function makeTasks(gateway: TestGateway, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < tenants; i++) {
    const { id, keyId } = await gateway.makeTenant();
    ids.push(id);
    const share = Math.floor(count / tenants) + (i < count % tenants ? 1 : 0);
    const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${share})`;
    const name = `'task-' || printf('%03d', ${i}) || printf('%028d', i)`;
    const nowMs = gateway.now();
    await env.DB.prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, price_credits,
         created_ms, deadline_ms, due_ms, attempts, upstream_id, submitted_ms, refreshed_ms, hold_number)
       ${numbers} SELECT ${name}, ?1, ?2, 'req-1', 'https://gateway.example', 'submitted', 'wan-2.7-image',
         '{"prompt":"a boat","n":1,"size":"square"}', '{}', ${price}, ?3 - 40000 + i, ?3 + 3600000, 0, 1,
         'up-' || (i * ${tenants} + ${i}), ?3 - 30000, ?3 - 30000, i FROM n`,
    )
      .bind(id, keyId, nowMs)
      .run();
    await runInDurableObject(objectOf(id), (_instance, { storage }) => {
      const { sql } = storage;
      sql.exec(
        `INSERT INTO open_tasks (seq, task_id, key_id, at_ms, date, images, price, balance, held)
         ${numbers} SELECT i, ${name}, '${keyId}', ${nowMs - 40_000}, '2030-03-17', 1, ${price}, 0, ${price} * i FROM n`,
      );
      const state = readState(sql);
      const account = { ...state.account, held: price * share };
      const counters = { ...state.counters, open: share };
      writeState(sql, {
        ...state,
        account,
        counters,
        seq: share,
        writtenSeq: share,
      });
    });
  }
  return ids;
}

async function count(sql: string): Promise<number> {
  return Number((await env.DB.prepare(sql).first<{ n: number }>())?.n);
}

/** @param consumers As many side by side; 0: a tick does all of it. */
export async function drain(
  tasks: number,
  consumers: number,
  progress: (line: string) => void,
): Promise<Drained> {
  const spec = "?format=png&width=16&height=16&seed=7";
  const picture = await (await env.PICTURES.fetch(`http://pictures/${spec}`)).arrayBuffer();
  const { hosts, seen, fetched } = stubUpstream(new Uint8Array(picture));
  const calls: string[] = [];
  const around: Around = (name, call) => {
    calls.push(name);
    return call();
  };
  const callsTo = (what: string) => calls.filter((name) => name === what).length;
  const time = virtualTime({ takes: (name) => (name.startsWith("fetch") ? answerMs : 0) });
  const gateway = startGateway({
    vars: { POLL_ROUND_SECONDS: 2 },
    time,
    hosts,
    around,
    consumers: consumers === 0 ? "none" : consumers,
  });
  const ids = await makeTasks(gateway, tasks);
  const startMs = gateway.now();
  await withCron(gateway, async () => {
    for (;;) {
      await gateway.sleep(5_000);
      const open = await count("SELECT count(*) AS n FROM tasks WHERE open = 1");
      const polling = await count("SELECT count(*) AS n FROM tasks WHERE open = 1 AND state = 'submitted'");
      const after = (gateway.now() - startMs) / 1000;
      progress(`${after} s: ${tasks - open} of ${tasks} settled, ${polling} to be polled`);
      if (open === 0 || after > tasks) return;
    }
  });
  const sums = { settlements: 0, charged: 0, held: 0 };
  for (const id of ids) {
    await runInDurableObject(objectOf(id), (_instance, state) => {
      const { account } = readState(state.storage.sql);
      sums.settlements += Number(state.storage.sql.exec("SELECT count(*) AS n FROM entries").one().n);
      sums.charged += account.charged;
      sums.held += account.held;
    });
  }
  let objects = 0;
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await env.IMAGES.list({ prefix: imageKey(""), ...(cursor !== undefined && { cursor }) });
    objects += page.objects.length;
    more = page.truncated;
    cursor = page.truncated ? page.cursor : undefined;
  }
  const lastMs = await count("SELECT max(finished_ms) AS n FROM tasks");
  const reconciled = (await (await gateway.admin("GET", "/audit")).json()) as { data: unknown[] };
  return {
    seconds: (lastMs - startMs) / 1000,
    completed: await count("SELECT count(*) AS n FROM tasks WHERE state = 'completed'"),
    open: await count("SELECT count(*) AS n FROM tasks WHERE open = 1"),
    readAgain: seen.readAgain,
    notFetchedOnce: tasks - [...fetched.values()].filter((times) => times === 1).length,
    objects,
    // Each tenant has a note that it was made.
    puts: callsTo("R2 put") - tenants,
    ...sums,
    discrepancies: reconciled.data,
    messages: gateway.work.sent.length,
    callsToD1: callsTo("D1"),
    workItemsLeft: await count("SELECT count(*) AS n FROM work_items"),
  };
}
