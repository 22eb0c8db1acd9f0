/** Tasks that the upstream has, as many as wanted, by one statement; and an upstream that notes who is read. */
import { env } from "cloudflare:workers";
import { type GatewayOptions, startGateway, type TestGateway, upstreamOrigin } from "./gateway.ts";

type Reply = () => Response | Promise<Response>;

/** A gateway whose upstream says of every task that it is at work, or what `answers` was given last. */
export function startWithReads(options: GatewayOptions = {}) {
  const reads: string[] = [];
  let reply: Reply = () => Response.json({ status: "processing", progress: 50 });
  const upstream = (request: Request) => {
    reads.push(new URL(request.url).pathname.split("/").at(-1) ?? "");
    return reply();
  };
  const hosts = { [upstreamOrigin]: upstream };
  const gateway = startGateway({ consumers: "by hand", hosts, ...options });
  return {
    gateway,
    hosts,
    /** Upstream ids of the tasks that were read, in order. */
    reads,
    answers(next: Reply) {
      reply = next;
    },
  };
}

/** Inserts tasks `task-…0001` to `count`, submitted 30 s ago, in a state. @returns their upstream ids. */
export async function insertMany(
  gateway: TestGateway,
  count: number,
  state: "submitted" | "storing" | "completed" = "submitted",
): Promise<string[]> {
  await env.DB.prepare(
    `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, price_credits,
       created_ms, deadline_ms, due_ms, attempts, upstream_id, submitted_ms, refreshed_ms, upstream_links_expire_ms)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
     SELECT 'task-' || printf('%031d', i), 't-' || (i % 20), 'key-1', 'req-1', 'https://gateway.example', ?2,
       'wan-2.7-image', '{"prompt":"a boat","n":1,"size":"square"}', '{}', 30,
       ?1 - 40000, ?1 + 3600000, 0, 0, 'up-' || i, ?1 - 30000, ?1 - 30000, ?1 + 86400000 FROM n`,
  )
    .bind(gateway.now(), state)
    .run();
  return Array.from({ length: count }, (_, index) => `up-${index + 1}`);
}

/** How many work items there are, done or not. */
export async function countWorkItems(): Promise<number> {
  return Number((await env.DB.prepare("SELECT count(*) AS n FROM work_items").first<{ n: number }>())?.n);
}
