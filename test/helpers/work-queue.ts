/**
 * A Queue in a test's hands, so that messages come when the test says, twice, late or never, and consumers run side by
 * side in virtual time. (The real one has no door for that, and delivers by the machine's clock.) It delivers at least
 * once, one message a batch, and gives up after as many attempts as wrangler.toml says.
 */

import { consume } from "../../src/flows/cron/consume.ts";
import type { Invocation } from "../../src/platform/invocation.ts";

const maxRetries = 3;
const retryDelayMs = 10_000;

interface Waiting {
  id: string;
  body: unknown;
  attempts: number;
}

export interface WorkQueue {
  binding: Queue<string>;
  /** Bodies of all that was ever sent. */
  sent: unknown[];
  waiting: Waiting[];
  /** Bodies of dead letters. */
  dead: unknown[];
  /** Delivers a body, whether or not it was sent; its consumer may die. @returns whether it was acked. */
  deliver(body: unknown, invocation: Invocation): Promise<boolean>;
  /** Delivers what waits, until nothing does. */
  drain(): Promise<void>;
}

export interface QueueOptions {
  invocation(): Invocation;
  /** In virtual time consumers run side by side, as soon as something is sent. */
  besides?: { concurrency: number; delayMs: number; sleep(ms: number): Promise<void> } | undefined;
}

export function createWorkQueue({ invocation, besides }: QueueOptions): WorkQueue {
  let made = 0;
  let running = 0;
  const deliverTo = (body: unknown, queue: string, attempts: number, by: Invocation): Promise<boolean> => {
    const outcome = { acked: false };
    const message = {
      id: `message-${body}`,
      timestamp: new Date(by.now()),
      body,
      attempts,
      ack: () => {
        outcome.acked = true;
      },
      retry: () => {
        outcome.acked = false;
      },
    };
    const batch = { queue, messages: [message] } as unknown as MessageBatch;
    return consume(by, batch).then(
      () => outcome.acked,
      () => false,
    );
  };
  const take = async (message: Waiting) => {
    if (await deliverTo(message.body, "wan-gateway-work", message.attempts, invocation())) return;
    if (message.attempts > maxRetries) {
      queue.dead.push(message.body);
      await deliverTo(message.body, "wan-gateway-work-dead", 1, invocation());
      return;
    }
    await besides?.sleep(retryDelayMs);
    queue.waiting.push({ ...message, attempts: message.attempts + 1 });
  };
  const pump = () => {
    if (!besides) return;
    while (running < besides.concurrency && queue.waiting.length > 0) {
      const next = queue.waiting.shift() as Waiting;
      running++;
      void besides
        .sleep(next.attempts > 1 ? 0 : besides.delayMs)
        .then(() => take(next))
        .finally(() => {
          running--;
          pump();
        });
    }
  };
  const queue: WorkQueue = {
    binding: {
      async sendBatch(messages: Iterable<{ body: string }>) {
        for (const { body } of messages) {
          queue.sent.push(body);
          queue.waiting.push({ id: `message-${made++}`, body, attempts: 1 });
        }
        pump();
      },
    } as unknown as Queue<string>,
    sent: [],
    waiting: [],
    dead: [],
    deliver: (body, by) => deliverTo(body, "wan-gateway-work", 1, by),
    async drain() {
      for (let next = queue.waiting.shift(); next; next = queue.waiting.shift()) await take(next);
    },
  };
  return queue;
}
