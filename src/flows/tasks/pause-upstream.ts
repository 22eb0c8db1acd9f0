/**
 * The pause that the upstream's account asks for. D1 has it for every tick and reader; an isolate remembers it as well, for
 * submissions, which do not wait for D1.
 */
import { coolDown } from "../../d1/cron/leases.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** @param untilMs A shorter pause never cuts a longer one. */
export async function pauseUpstream(invocation: Invocation, untilMs: number): Promise<void> {
  rememberPause(invocation, untilMs);
  await coolDown(invocation.db, untilMs);
}

export function rememberPause({ upstreamPause }: Pick<Invocation, "upstreamPause">, untilMs: number): void {
  upstreamPause.untilMs = Math.max(upstreamPause.untilMs, untilMs);
}
