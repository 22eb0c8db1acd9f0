/** Polling many tasks in one invocation: a tick's share of a round, or a consumer's work item. */

import type { PollTarget } from "../../domain/poll.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type Found, pollTask, recordPolls } from "./poll.ts";

/** Polls are recorded in groups, so that finished pictures are stored while the rest is still being polled. */
export const groupSize = 2 * connections;

/**
 * Polls tasks, as many at a time as there are connections; none begins after `untilMs`, or once the upstream has
 * asked for a pause.
 * @param storing The storer of finished pictures: the lease by which it finds their tasks, and its start.
 */
export async function pollAll(
  invocation: Invocation,
  tasks: PollTarget[],
  untilMs: number,
  storing: { leaseUntilMs: number | null; start: () => void } = {
    leaseUntilMs: null,
    start: () => undefined,
  },
): Promise<void> {
  let busy = false;
  let found: Found[] = [];
  const record = async (some: Found[]) => {
    try {
      await recordPolls(invocation, some, storing.leaseUntilMs);
    } finally {
      // Also when it is not known whether it was written.
      if (some.some((one) => one.kind === "change" && one.result.images)) storing.start();
    }
  };
  await inParallel(
    tasks,
    async (task) => {
      if (busy || invocation.now() >= untilMs) return;
      const one = await pollTask(invocation, task);
      busy ||= one.kind === "busy";
      found.push(one);
      if (found.length < groupSize) return;
      const group = found;
      found = [];
      await record(group);
    },
    { concurrency: connections },
  );
  await record(found);
}
