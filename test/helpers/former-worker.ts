/**
 * A Worker of the version before, as far as it submits: what it calls, in its order. Its row is in D1 once the object has
 * admitted it, and what comes of the task it records there, but for what the upstream took.
 */
import { env } from "cloudflare:workers";
import { postponeSend } from "../../src/d1/tasks/tasks.ts";
import { insertEnds } from "../../src/d1/webhooks/deliveries.ts";
import type { Submitted } from "../../src/domain/new-task.ts";
import type { AdmitRequest } from "../../src/tenant/decide.ts";
import type { TestGateway } from "./gateway.ts";

export interface FormerTenant {
  id: string;
  keyId: string;
}

/** What its caller hears. `none`: refused, by the gateway or by the upstream; `unknown`: 503. */
export type FormerReply = { kind: "accepted"; taskId: string } | { kind: "none" | "unknown" };

export async function submitAsFormer(
  gateway: TestGateway,
  { id: tenantId, keyId }: FormerTenant,
  prompt: string,
): Promise<FormerReply> {
  const invocation = gateway.invocation();
  const nowMs = invocation.now();
  const { hash } = (await env.DB.prepare("SELECT hash FROM keys WHERE id = ?1")
    .bind(keyId)
    .first<{ hash: string }>()) ?? { hash: "" };
  const page = { origin: null, sameOrigin: false };
  const request: AdmitRequest = {
    caller: { kind: "secret", tenantId, keyId, keyHash: hash, token: null, page },
    ...{
      taskId: invocation.newId("task"),
      model: "wan-2.7-image",
      images: 1,
      price: 30,
      replay: null,
      nowMs,
    },
  };
  const { taskId, model } = request;
  const input = { prompt, n: 1 };
  const dueMs = nowMs + 30_500;
  const times = { createdMs: nowMs, deadlineMs: nowMs + 7_200_000, dueMs };
  const task = {
    ...{
      tenantId,
      keyId,
      tokenId: null,
      requestId: "req-former",
      origin: "https://gateway.example",
      endUser: null,
    },
    ...{ input, metadata: {}, ...times },
  };
  try {
    const begun = await invocation
      .tenant(tenantId)
      .begin(request, { task, lowId: invocation.newId("delivery") });
    if (begun.kind !== "admitted") return { kind: "none" };
    const outcome = await invocation.upstream.submit(model, input, taskId);
    switch (outcome.kind) {
      case "accepted": {
        const { upstreamId, seen } = outcome;
        const { estimatedSeconds } = seen;
        await note(tenantId, taskId, { upstreamId, submittedMs: invocation.now(), estimatedSeconds });
        break;
      }
      case "refused":
        await endRefused(invocation.db, taskId, invocation.now());
        return { kind: "none" };
      default:
        await postponeSend(invocation.db, { id: taskId, dueMs }, nowMs + 20_000, outcome.kind === "unknown");
    }
    return { kind: "accepted", taskId };
  } catch {
    return { kind: "unknown" };
  }
}

async function note(tenantId: string, taskId: string, submitted: Submitted): Promise<void> {
  type Former = { submitted(id: string, submitted: Submitted): Promise<unknown> };
  await (env.TENANTS.getByName(tenantId) as unknown as Former).submitted(taskId, submitted);
}

/** A task that ended so stays open until its hold is known to be settled, which is left to others here. */
async function endRefused(db: D1Database, taskId: string, nowMs: number): Promise<void> {
  const end = db
    .prepare(
      `UPDATE tasks SET state = 'failed', version = version + 1, finished_ms = ?2, due_ms = ?2 + 30000,
         error_code = 'invalid_parameters', hidden = iif(version = 1, 1, 0)
       WHERE id = ?1 AND state IN ('submitting', 'queued')`,
    )
    .bind(taskId, nowMs);
  await db.batch([end, insertEnds(db, [taskId], nowMs)]);
}
