/** A tenant whose tasks go to the archive: real ones, and as many like them as a test wants. */
import { env } from "cloudflare:workers";
import { addUp } from "../../src/d1/cron/sums.ts";
import { archiveTenant } from "../../src/flows/archive/archive-tasks.ts";
import { newId } from "../../src/platform/invocation.ts";
import type { TestGateway } from "./gateway.ts";

export const dayMs = 86_400_000;

/** Makes tasks that are like one, as of a time each. @returns their ids, oldest first. */
export async function copyTask(
  like: string,
  copies: { createdMs: number; endUser?: string | null; tenantId?: string }[],
): Promise<string[]> {
  const made = copies
    .map(({ createdMs, endUser = null, ...of }) => ({
      id: newId("task", createdMs),
      createdMs,
      endUser,
      ...of,
    }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const { results } = await env.DB.prepare("SELECT name FROM pragma_table_info('tasks')").all<{
    name: string;
  }>();
  const over: Record<string, string> = {
    id: "copy.value ->> 'id'",
    created_ms: "copy.value ->> 'createdMs'",
    finished_ms: "copy.value ->> 'createdMs' + 30000",
    end_user: "copy.value ->> 'endUser'",
    tenant_id: "coalesce(copy.value ->> 'tenantId', tenant_id)",
    // Their pictures are those of the one that they are like.
    hold_number: "NULL",
  };
  const names = results.map(({ name }) => name);
  const values = names.map((name) => over[name] ?? name);
  for (let from = 0; from < made.length; from += 1_000)
    await env.DB.prepare(
      `INSERT INTO tasks (${names.join(", ")}) SELECT ${values.join(", ")} FROM tasks, json_each(?2) AS copy WHERE tasks.id = ?1`,
    )
      .bind(like, JSON.stringify(made.slice(from, from + 1_000)))
      .run();
  return made.map(({ id }) => id);
}

/** Rows of tasks that D1 has of a tenant. */
export async function rowsInDatabase(tenantId: string): Promise<number> {
  const counted = env.DB.prepare("SELECT count(*) AS n FROM tasks WHERE tenant_id = ?1").bind(tenantId);
  const { results } = await counted.all<{ n: number }>();
  return results[0]?.n ?? 0;
}

export interface PartRow {
  first_id: string;
  last_id: string;
  key: string;
  tasks: number;
  oldest_text_id: string | null;
}

/** Parts of a tenant's archive, oldest first. */
export async function partsInDatabase(tenantId: string): Promise<PartRow[]> {
  const read = env.DB.prepare("SELECT * FROM task_parts WHERE tenant_id = ?1 ORDER BY last_id").bind(
    tenantId,
  );
  return (await read.all<PartRow>()).results;
}

/** Texts of all objects of the archive, as they lie in R2. */
export async function archivedTexts(): Promise<string> {
  const { objects } = await env.IMAGES.list({ prefix: "archive/" });
  const texts = await Promise.all(
    objects.map(async ({ key }) => {
      const stored = await env.IMAGES.get(key);
      if (!stored) throw new Error(`${key} has gone`);
      return new Response(stored.body.pipeThrough(new DecompressionStream("gzip"))).text();
    }),
  );
  return texts.join("");
}

/** Archives all that is due of a tenant, once it is in the sums. Ticks do it for some tenants at a time, in turn. */
export async function archiveAll(gateway: TestGateway, tenantId: string): Promise<void> {
  while (await addUp(env.DB, gateway.now()));
  await archiveTenant(gateway.invocation(), tenantId, 1_000);
}
