/** Tasks that ended long ago, made by SQL, for what erases them. */
import { env } from "cloudflare:workers";
import { idBound } from "../../src/domain/ids.ts";

interface EndedTasks {
  tenantId: string;
  count: number;
  /** When the first of them was made; each is made `everyMs` after the one before. */
  fromMs: number;
  everyMs?: number;
  /** Whether each has a picture, of which the bucket has nothing: what is put in its place is put all the same. */
  hasPicture?: boolean;
}

let made = 0;

/** Inserts them; ids sort by age. */
export async function insertEndedTasks({
  tenantId,
  count,
  fromMs,
  everyMs = 0,
  hasPicture = false,
}: EndedTasks): Promise<void> {
  const first = made;
  made += count;
  const picture = `json_array(json_object('id', 'img-' || printf('%026d', ${first} + i), 'state', 'stored', 'stored',
    json('{"contentType":"image/png","width":16,"height":16,"bytes":9,"sha256":"00"}')))`;
  const insert = (ids: string[], createdMs: number) =>
    env.DB.prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, open, model, input, metadata, price_credits, images,
         created_ms, deadline_ms, finished_ms, due_ms, attempts, hold_number)
       SELECT value, ?1, 'key-1', 'req-1', 'https://gateway.example', 'completed', 0, 'wan-2.7-image',
         '{"prompt":"a secret boat","n":1,"size":"square"}', '{}', 30, ${hasPicture ? picture : "'[]'"}, ?2, ?2, ?2, 0, 1, i
       FROM (SELECT value, key AS i FROM json_each(?3))`,
    ).bind(tenantId, createdMs, JSON.stringify(ids));
  const idOf = (index: number, atMs: number) =>
    `${idBound("task", atMs)}${String(first + index).padStart(21, "0")}`;
  if (everyMs === 0) {
    await insert(
      Array.from({ length: count }, (_, index) => idOf(index, fromMs)),
      fromMs,
    ).run();
    return;
  }
  const atMs = (index: number) => fromMs + index * everyMs;
  for (let from = 0; from < count; from += 1_000) {
    const some = Array.from({ length: Math.min(1_000, count - from) }, (_, index) => from + index);
    await env.DB.batch(some.map((index) => insert([idOf(index, atMs(index))], atMs(index))));
  }
}

/** How many tasks are erased to the end, and how many not at all. */
export async function erasedTasks(): Promise<Record<string, number>> {
  const { results } = await env.DB.prepare("SELECT erasure, count(*) AS n FROM tasks GROUP BY erasure").all<{
    erasure: string;
    n: number;
  }>();
  return Object.fromEntries(results.map(({ erasure, n }) => [erasure, n]));
}

/** Tenants that D1 alone has. */
export const insertTenants = (ids: string[], retentionDays: number | null) =>
  env.DB.batch(
    ids.map((id) =>
      env.DB.prepare(
        "INSERT INTO tenants (id, name, limits, created_ms, pushed_version, retention_days) VALUES (?1, ?1, '{}', 0, 1, ?2)",
      ).bind(id, retentionDays),
    ),
  );
export const namesOf = (count: number) =>
  Array.from({ length: count }, (_, i) => `t-${String(i).padStart(3, "0")}`);
