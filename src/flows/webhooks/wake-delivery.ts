/** Sending what a request or a round has just put into the outbox, without waiting for the next tick. */
import type { Invocation } from "../../platform/invocation.ts";

/** The platform ends work beside a reply after half a minute. */
const besideReplyMs = 25_000;

/**
 * Starts the delivery lane beside the reply. Where one runs, another one follows it: the first may have read the outbox
 * for the last time already.
 */
export function wakeDelivery(invocation: Invocation): void {
  const { lanes } = invocation;
  const once = invocation.config.POLL_ROUND_SECONDS === 0;
  const before = lanes.running("deliver");
  const untilMs = once || before !== undefined ? 0 : invocation.now() + besideReplyMs;
  invocation.defer("deliver", async () => {
    await before;
    await lanes.start("deliver", untilMs);
  });
}
