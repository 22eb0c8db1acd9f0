/** The lanes that send and store, each in an invocation of its own. Webhooks have `deliver.ts`. */
import type { LaneKind } from "../../domain/work-message.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type FoundByTick, giveBack, storeNext } from "../images/store-images.ts";
import { sendDue } from "../tasks/send.ts";

/** A lane stays for so many empty rounds: one request may start at most 32 invocations. */
const idleRounds = 5;
const lanePauseMs = 1_000;

/** Sends until `untilMs`, or until nothing has been due for a while. */
export function sendLane(invocation: Invocation, untilMs: number): Promise<void> {
  return runLane(invocation, untilMs, () => sendDue(invocation));
}

/**
 * Stores until `untilMs`, or until nothing has been due for a while. Two slots never wait for each other: pictures on
 * hosts that hang come back as retries, and those cannot take the slot of new ones.
 * @param leaseUntilMs The lease of the tasks that the tick has found done; 0: none.
 */
export async function storeLane(invocation: Invocation, untilMs: number, leaseUntilMs = 0): Promise<void> {
  const slots = ["new", "any"] as const;
  const found: FoundByTick = { leaseUntilMs, begun: new Set() };
  try {
    await inParallel(slots, (which) => runLane(invocation, untilMs, storing(invocation, which, found)), {
      concurrency: slots.length,
    });
  } finally {
    await giveBack(invocation, found);
  }
}

/** A claim reads all that is to be stored. After so many in a row a slot claims as many at once. */
const manyInARow = 8;

function storing(invocation: Invocation, which: "new" | "any", found: FoundByTick): () => Promise<boolean> {
  let inARow = 0;
  return async () => {
    const isThere = await storeNext(invocation, which, inARow < manyInARow ? 1 : manyInARow, found);
    inARow = isThere ? inARow + 1 : 0;
    return isThere;
  };
}

/** Each lane that a consumer of the Queue may run too. */
export const laneOf: Record<LaneKind, (invocation: Invocation, untilMs: number) => Promise<void>> = {
  send: sendLane,
  store: storeLane,
};

/**
 * @param untilMs 0: once through all that is due.
 * @param work Does some of it; false: nothing more is due.
 */
async function runLane(invocation: Invocation, untilMs: number, work: () => Promise<boolean>): Promise<void> {
  const hasTime = () => untilMs === 0 || invocation.now() < untilMs;
  for (let idle = 0; idle < idleRounds; idle++) {
    while (hasTime() && (await work())) idle = 0;
    if (invocation.now() + lanePauseMs >= untilMs) return;
    await invocation.sleep(lanePauseMs);
  }
}
