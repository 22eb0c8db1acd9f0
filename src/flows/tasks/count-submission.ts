/** Counting a submission whose body is large, before any of that is read. */
import type { Action, Caller } from "../../domain/access.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { CountDecision } from "../../tenant/count-request.ts";
import { type IdempotencySource, replayValueOf } from "./idempotency.ts";

/** Has the object count one of the minute's requests, or refuse it. What may be a replay is let in and not counted. */
export async function countSubmission(
  invocation: Invocation,
  caller: Caller,
  action: Action,
  idempotency: Pick<IdempotencySource, "key" | "ip">,
): Promise<CountDecision> {
  const replayValue = await replayValueOf(caller, idempotency);
  const nowMs = invocation.now();
  return invocation.tenant(caller.tenantId).countRequest({ caller, action, replayValue, nowMs });
}
