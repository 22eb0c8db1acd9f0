/**
 * The upstream's replies, parsed as tolerantly as its documents are thin: only what the gateway needs is
 * read, and a field of another type counts as absent.
 */
import * as z from "zod";
import type { UpstreamTask } from "../domain/poll.ts";
import { readFailure } from "./errors.ts";

const idSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
const linkHolder = z.object({
  image_url: z.string().optional().catch(undefined),
  url: z.string().optional().catch(undefined),
});

const taskSchema = z.object({
  status: z.string().optional().catch(undefined),
  progress: z.number().min(0).max(100).nullable().catch(null).default(null),
  results: z.array(z.unknown()).nullable().catch(null).default(null),
  result_data: z.unknown().optional(),
  error: z
    .object({ code: z.union([z.string(), z.number()]).nullable().catch(null).default(null) })
    .nullable()
    .catch(null)
    .default(null),
  task_info: z
    .object({
      estimated_time: z.number().min(0).max(86_400).transform(Math.ceil).nullable().catch(null).default(null),
    })
    .nullable()
    .catch(null)
    .default(null),
});

const acceptanceSchema = taskSchema.extend({ id: idSchema });
const creditsSchema = z.object({ data: z.object({ user: z.object({ remaining_credits: z.number() }) }) });

/** Reads a 2xx reply to a submit; undefined when it names no task, so that its outcome is open. */
export function parseAcceptance(body: unknown): { upstreamId: string; seen: UpstreamTask } | undefined {
  const { data } = acceptanceSchema.safeParse(body);
  return data && { upstreamId: data.id, seen: seenIn(data) };
}

/** Reads a task; undefined when the body is not an object with a status. */
export function parseTask(body: unknown): UpstreamTask | undefined {
  const { data } = taskSchema.safeParse(body);
  return data && seenIn(data);
}

function seenIn({
  status,
  progress,
  results,
  result_data,
  error,
  task_info,
}: z.infer<typeof taskSchema>): UpstreamTask {
  const word = readStatus(status);
  return {
    status: word,
    progress,
    estimatedSeconds: task_info?.estimated_time ?? null,
    links: readLinks(results ?? [], result_data),
    failure: word === "failed" ? readFailure(isCancelled(status) ? "request_cancelled" : error?.code) : null,
  };
}

/** Reads what the account has left; null when the body does not say. */
export function parseCredits(body: unknown): number | null {
  const parsed = creditsSchema.safeParse(body);
  return parsed.success ? parsed.data.data.user.remaining_credits : null;
}

function isCancelled(status: string | undefined): boolean {
  return status === "cancelled" || status === "canceled";
}

function readStatus(status: string | undefined): UpstreamTask["status"] {
  if (status === "completed" || status === "failed" || status === "processing") return status;
  return isCancelled(status) ? "failed" : "pending";
}

/** Links are in `results`, or only in `result_data`, which is an object or an array of objects. */
function readLinks(results: unknown[], resultData: unknown): string[] {
  const links = usableLinks(results);
  return links.length > 0 || resultData == null
    ? links
    : usableLinks(Array.isArray(resultData) ? resultData : [resultData]);
}

function usableLinks(holders: unknown[]): string[] {
  const links = holders.map((holder) => {
    if (typeof holder === "string") return holder;
    const parsed = linkHolder.safeParse(holder);
    return parsed.success ? parsed.data.image_url || parsed.data.url || "" : "";
  });
  return [...new Set(links)].filter((link) => /^https?:$/.test(URL.parse(link)?.protocol ?? ""));
}
