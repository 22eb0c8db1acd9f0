/** `Prefer: wait=N` (RFC 7240, 4.3) and `?wait=N`: a reply that is held until the task has ended, or N seconds. */
import * as z from "zod";
import type { Task } from "../../domain/task.ts";
import { waitForTask } from "../../flows/tasks/wait.ts";
import type { AppContext } from "../../http/context.ts";

const maxSeconds = 60;

export const waitQuery = z.object({
  wait: z.coerce
    .number()
    .int()
    .min(1)
    .max(maxSeconds)
    .optional()
    .meta({ description: "Holds the reply until the task has ended, for so many seconds at the most." }),
});

export const preferHeader = {
  prefer: z
    .string()
    .optional()
    .meta({
      description:
        "`wait=N`, 1 to 60: holds the reply until the task has ended, for so many seconds at the most.",
      examples: ["wait=30"],
    }),
};

/** The preference's seconds; null when there is none that can be taken. A longer wait is cut to a minute. */
function preferredSeconds(header: string | undefined): number | null {
  const [, digits] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])/i.exec(header ?? "") ?? [];
  const seconds = Math.min(maxSeconds, Number(digits ?? 0));
  return seconds >= 1 ? seconds : null;
}

/** Waits as the caller wishes. @returns the task, and the header that says what was done. */
export async function waitAsAsked(
  c: AppContext,
  task: Task,
  asked: number | undefined,
): Promise<{ task: Task; headers: Record<string, string> }> {
  const preferred = preferredSeconds(c.req.header("prefer"));
  const seconds = asked ?? preferred;
  if (seconds === null) return { task, headers: {} };
  const applied: Record<string, string> =
    preferred === null ? {} : { "preference-applied": `wait=${seconds}` };
  return { task: await waitForTask(c.get("invocation"), c.get("caller"), task, seconds), headers: applied };
}
