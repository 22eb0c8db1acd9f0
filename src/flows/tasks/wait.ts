/**
 * Waiting for a task by its record. All ways to wait read the same record, so callers that wait, stream or poll see the
 * same versions, and an isolate's followers share what one of them reads:
 *
 *   follower                           another follower of the same task, by the same key
 *   1. leaves a read that is under way
 *   2. reads D1                        wakes, finds the read under way: sleeps briefly
 *   3. completes the read
 *                                      takes the version that it holds
 *
 * One that dies before 3 has its read done again a second later.
 */

import type { Caller } from "../../domain/access.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import type { Place } from "../../platform/places.ts";
import { findTask } from "./find-task.ts";
import { refresh } from "./poll.ts";

/** The longest time between two reads. */
export const slowestPaceMs = 4_000;
/** The time until a follower comes back for what another one is reading. */
const briefMs = 200;
/** For how long a read is taken to be under way: its invocation may have been ended. */
const underWayMs = 1_000;

/** Often at first, when most tasks end; then seldom enough for the free plan's 50 queries in two minutes. */
function paceMs(waitedMs: number): number {
  if (waitedMs < 12_000) return 1_000;
  return waitedMs < 30_000 ? 2_000 : slowestPaceMs;
}

/**
 * Reads the task again and again, until it has ended or `untilMs`, or its place is given back, or the caller's key is no
 * good any more. Who reads it has it refreshed, too.
 * @param startMs Since when the caller waits.
 */
export async function* taskVersions(
  invocation: Invocation,
  caller: Caller,
  task: Task,
  place: Place,
  untilMs: number,
  startMs: number = invocation.now(),
): AsyncGenerator<Task> {
  let current = task;
  let readMs = invocation.now();
  let pace = paceMs;
  while (!isFinished(current)) {
    const pauseMs = Math.min(pace(invocation.now() - startMs), untilMs - invocation.now());
    if (pauseMs <= 0) return;
    await invocation.sleep(pauseMs);
    place.keep(invocation.now());
    if (place.isOver || (caller.token && caller.token.expiresMs <= invocation.now())) return;
    const next = await newestVersion(invocation, caller, current, readMs);
    pace = next === "under way" ? () => briefMs : paceMs;
    if (next === "under way") continue;
    if (!next || next.erased) return;
    readMs = invocation.now();
    yield next;
    current = next;
  }
}

/**
 * The task as another follower by the same key has read it since `sinceMs`, or as it is now. With it that key was found to
 * be good. Where the record cannot be read, the task as it was: it goes on all the same.
 */
async function newestVersion(
  invocation: Invocation,
  caller: Caller,
  known: Task,
  sinceMs: number,
): Promise<Task | "under way" | undefined> {
  const { sharedReads } = invocation;
  const name = `${caller.tenantId} ${caller.keyId} ${known.id}`;
  const left = sharedReads.find(name);
  if (left && left.atMs > sinceMs) {
    if (left.task) return left.task;
    if (invocation.now() - left.atMs < underWayMs) return "under way";
  }
  const read = sharedReads.begin(name, invocation.now());
  try {
    const found = await findTask(invocation, caller, known.id);
    const task = found.kind === "in" ? found.task : undefined;
    read.task = task;
    if (task?.state === "submitted") invocation.defer("refresh", () => refresh(invocation, task));
    return task;
  } catch (error) {
    if (!(error instanceof BindingUnavailable)) throw error;
    invocation.log({ event: "wait_read_failed", level: "error", task: known.id, problem: describe(error) });
    return known;
  } finally {
    // What this follower was refused, another one reads for itself, and at once.
    if (!read.task) read.atMs = 0;
  }
}

/** Waits for a task's end, `seconds` at the most. @returns it as it is then. */
export async function waitForTask(
  invocation: Invocation,
  caller: Caller,
  task: Task,
  place: Place,
  seconds: number,
): Promise<Task> {
  const untilMs = invocation.now() + seconds * 1000;
  let latest = task;
  for await (const current of taskVersions(invocation, caller, task, place, untilMs)) latest = current;
  return latest;
}
