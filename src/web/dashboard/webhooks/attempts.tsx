/** A delivery's attempts and their outcome, in words. */
import type { WebhookDelivery } from "#gateway";
import { showAttempts } from "../task/life.ts";
import { When } from "../when.tsx";

/** The receiver's last answer. */
export function lastAnswer({ last_status, last_error, attempts }: WebhookDelivery): string {
  if (last_status !== null) return `answered ${last_status}`;
  if (last_error !== null) return last_error;
  return attempts === 0 ? "not sent yet" : "no answer yet";
}

export function Attempts({ delivery }: { delivery: WebhookDelivery }) {
  const { attempts, last_attempt_at: last, next_attempt_at: next } = delivery;
  return (
    <>
      {attempts > 0 && `${showAttempts(attempts)}, `}
      {lastAnswer(delivery)}
      {last !== null && (
        <small class="soft below">
          last attempt <When at={last} toSecond />
        </small>
      )}
      {next !== null && (
        <small class="soft below">
          next attempt <When at={next} toSecond />
        </small>
      )}
    </>
  );
}
