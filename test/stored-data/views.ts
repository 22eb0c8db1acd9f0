/** What a fixture says of replies, read from them in the same way when it is made and when it is opened. */
import type { Shown, ShownTask } from "./fixture.ts";

// biome-ignore lint/suspicious/noExplicitAny: replies are read field by field, and a missing one shows.
export type Json = any;

/** The operator's view of a task, without its links, and without what is null, false or empty. */
export function taskAsShown(task: Json): ShownTask {
  const { id, tenant, key, model, state, status, created, usage, task_info, error } = task;
  const rest = {
    finished: task.finished,
    submitted_at: task.submitted_at,
    storing_at: task.storing_at,
    deadline_at: task.deadline_at,
    due_at: task.due_at,
    attempts: task.attempts,
    progress: task.progress,
    estimated_time: task_info.estimated_time,
    can_cancel: task_info.can_cancel,
    settled: task.settled,
    hidden: task.hidden,
    images: usage.images,
    held: usage.credits_held,
    charged: usage.credits_charged,
    error: error?.code,
    metadata: Object.keys(task.metadata).length > 0 && task.metadata,
    end_user: task.end_user,
    request_id: task.request_id,
    upstream_id: task.upstream_id,
  };
  const received = Object.entries(rest).filter(([, value]) => Boolean(value));
  return {
    id,
    tenant,
    key,
    model,
    state,
    status,
    created,
    input: task.input,
    ...Object.fromEntries(received),
  };
}

/** How many lines of each type a ledger has, and what they come to. */
export function ledgerSums(lines: { type: string; amount: number }[]): Shown["ledger"][string] {
  const sums: Shown["ledger"][string] = {};
  for (const { type, amount } of lines) {
    const before = sums[type] ?? { lines: 0, amount: 0 };
    sums[type] = { lines: before.lines + 1, amount: before.amount + amount };
  }
  return sums;
}

/** The elements of a page, by name: lines of a ledger have no id. Of reconciliation's reply it is the page of the audit log. */
export function namesOnPage(reply: Json): string[] {
  const { data } = reply.acts ?? reply;
  return data.map((item: Json) => item.id ?? `${item.type} ${item.amount} ${item.task ?? item.reference}`);
}

export function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}
