/** `Prefer: wait=N` (RFC 7240, 4.3) and `?wait=N`: a reply that is held until the task has ended, or N seconds. */
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import type { Task } from "../../domain/task.ts";
import { waitForTask } from "../../flows/tasks/wait.ts";
import type { AppContext } from "../../http/context.ts";
import { noPlace, requirePlace, takePlace } from "../../http/following.ts";
import type { Place } from "../../platform/places.ts";

const maxSeconds = 60;

export const waitQuery = z.object({
  wait: z.coerce
    .number()
    .int()
    .min(1)
    .max(maxSeconds)
    .optional()
    .meta(
      documented(() => ({
        description: "Holds the reply until the task has ended, for so many seconds at the most.",
      })),
    ),
});

export const preferHeader = {
  prefer: z
    .string()
    .optional()
    .meta(
      documented(() => ({
        description:
          "`wait=N`, 1 to 60: holds the reply until the task has ended, for so many seconds at the most.",
        examples: ["wait=30"],
      })),
    ),
};

/** The preference's seconds; null when there is none that can be taken. A longer wait is cut to a minute. */
function preferredSeconds(header: string | undefined): number | null {
  const [, digits] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])/i.exec(header ?? "") ?? [];
  const seconds = Math.min(maxSeconds, Number(digits ?? 0));
  return seconds >= 1 ? seconds : null;
}

/** What a caller wishes. */
interface Wish {
  seconds: number;
  /** Says what was done. */
  headers: Record<string, string>;
}

/** @param asked By the query. */
function wishOf(c: AppContext, asked: number | undefined): Wish | undefined {
  const preferred = preferredSeconds(c.req.header("prefer"));
  const seconds = asked ?? preferred;
  if (seconds === null) return undefined;
  return { seconds, headers: preferred === null ? {} : { "preference-applied": `wait=${seconds}` } };
}

interface Waited {
  task: Task;
  headers: Record<string, string>;
}

/**
 * Reads a task, and waits as the caller wishes.
 * @param read Is called once there is a place to wait.
 * @throws ApiError where there is none.
 */
export async function readAndWait<Found extends { task: Task }>(
  c: AppContext,
  id: string,
  asked: number | undefined,
  read: () => Promise<Found>,
): Promise<Found & Waited> {
  const wish = wishOf(c, asked);
  if (!wish) return { ...(await read()), headers: {} };
  const place = requirePlace(c, id);
  try {
    const found = await read();
    return { ...found, ...(await waitIn(c, found.task, wish, place)) };
  } finally {
    place.end();
  }
}

/** Waits for a task that was submitted as its caller wishes; not where there is no place to wait: the task is there. */
export async function waitAsAsked(c: AppContext, task: Task): Promise<Waited> {
  const wish = wishOf(c, undefined);
  if (!wish || noPlace(c, task.id)) return { task, headers: {} };
  const place = takePlace(c, task.id);
  try {
    const waited = await waitIn(c, task, wish, place);
    c.set("madeTask", waited.task);
    return waited;
  } finally {
    place.end();
  }
}

async function waitIn(c: AppContext, task: Task, { seconds, headers }: Wish, place: Place): Promise<Waited> {
  return { task: await waitForTask(c.get("invocation"), c.get("caller"), task, place, seconds), headers };
}
