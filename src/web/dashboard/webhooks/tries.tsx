/** How the tries of a delivery went, in words. */
import type { WebhookDelivery } from "#gateway";
import { showTries } from "../tasks/life.ts";
import { When } from "../when.tsx";

/** What the receiver answered last; nothing before the first try. */
export function lastAnswer({ last_status, last_error, attempts }: WebhookDelivery): string {
  if (last_status !== null) return `answered ${last_status}`;
  if (last_error !== null) return last_error;
  return attempts === 0 ? "not tried yet" : "no answer yet";
}

export function Tries({ delivery }: { delivery: WebhookDelivery }) {
  const { attempts, last_attempt_at: last, next_attempt_at: next } = delivery;
  return (
    <>
      {attempts > 0 && `${showTries(attempts)}, `}
      {lastAnswer(delivery)}
      {last !== null && (
        <small class="soft below">
          last tried <When at={last} toSecond />
        </small>
      )}
      {next !== null && (
        <small class="soft below">
          next try <When at={next} toSecond />
        </small>
      )}
    </>
  );
}
