/** What a fixture says of replies, read from them in the same way when it is made and when it is opened. */
import type { Shown, ShownTask } from "./fixture.ts";

// biome-ignore lint/suspicious/noExplicitAny: replies are read field by field, and a missing one shows.
export type Json = any;

/** The operator's view of a task. */
export function taskAsShown(task: Json): Omit<ShownTask, "erased"> {
  return {
    id: task.id,
    tenant: task.tenant,
    status: task.status,
    hidden: task.hidden,
    n: task.input.n,
    images: task.usage.images,
    held: task.usage.credits_held,
    charged: task.usage.credits_charged,
    error: task.error?.code ?? null,
    metadata: task.metadata,
    end_user: task.end_user,
    upstream_id: task.upstream_id,
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

/** The elements of a page, by name: lines of a ledger have no id. Of the self-check's reply it is the page of acts. */
export function namesOnPage(reply: Json): string[] {
  const { data } = reply.acts ?? reply;
  return data.map((item: Json) => item.id ?? `${item.type} ${item.amount} ${item.task ?? item.reference}`);
}

export function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}
