/** The verdict in one line. Breakdowns, which need the operator now, come before doubts. */
import { callersFaults } from "#definitions";
import { count, showSeconds } from "../../ui/format.ts";
import type { Audited, Figures, Readiness } from "./overview-data.ts";

export interface Verdict {
  tone: "good" | "busy" | "bad";
  text: string;
  reasons: string[];
}

/** A task takes a minute or two; an older one waits for something. */
export const oldSeconds = 600;
/** A larger share of failures that callers did not cause is a doubt. */
export const highErrorRate = 0.1;

/** The day's failures that the requests did not cause, as a share of its tasks. */
export function ownErrorRate({ failures, tasks }: Figures["last_day"]): number {
  const own = Object.entries(failures).filter(
    ([code]) => !(callersFaults as readonly string[]).includes(code),
  );
  return tasks === 0 ? 0 : own.reduce((total, [, failed]) => total + failed, 0) / tasks;
}

/** The verdict while the gateway cannot be reached. */
export const unreachable: Verdict = {
  tone: "busy",
  text: "Not known",
  reasons: ["the figures could not be read again"],
};
/** A task past its deadline is ended within two ticks. */
const overdueSeconds = 180;
/** What is to be erased is erased within minutes; what is not for hours fails, and the log says why. */
const overdueErasureSeconds = 6 * 3_600;

export const parts = {
  database: "Database (D1)",
  storage: "Pictures (R2)",
  limiter: "Limits (Durable Object)",
};

/** @param readiness null: it could not be read. */
export function verdictOf(figures: Figures, readiness?: Readiness | null, reconciled?: Audited): Verdict {
  const broken: string[] = [];
  for (const [part, state] of Object.entries(readiness?.checks ?? {})) {
    if (state === "failed") broken.push(`${parts[part as keyof typeof parts] ?? part} does not answer`);
  }
  if (readiness?.status === "unavailable" && broken.length === 0) broken.push("the gateway is not ready");
  if (reconciled && !reconciled.ok)
    broken.push(`reconciliation found ${count(reconciled.data.length, "problem")}`);
  const doubtful = doubts(figures, readiness);
  const reasons = [...broken, ...doubtful];
  if (broken.length > 0) return { tone: "bad", text: "Something is wrong", reasons };
  if (doubtful.length > 0) return { tone: "busy", text: "Worth a check", reasons };
  return { tone: "good", text: "All is well", reasons: [] };
}

function doubts(
  { oldest_unfinished_seconds: oldest, oldest_overdue_erasure_seconds: erasure, last_day, upstream }: Figures,
  readiness: Readiness | null | undefined,
): string[] {
  const found: string[] = [];
  if (readiness === null) found.push("whether it is ready could not be read");
  if ((readiness?.oldest_overdue_seconds ?? 0) > overdueSeconds) found.push("a task is past its deadline");
  if (erasure > overdueErasureSeconds) found.push(`an erasure is overdue by ${showSeconds(erasure)}`);
  if (oldest !== null && oldest > oldSeconds)
    found.push(`a task has been under way for ${showSeconds(oldest)}`);
  const rate = ownErrorRate(last_day);
  if (rate > highErrorRate) found.push(`${showShare(rate)} of the last day's tasks failed`);
  if (upstream.credits_left !== null && upstream.credits_left <= 0)
    found.push("the upstream has no credits left");
  if (upstream.cools_down_until !== null) found.push("the upstream has asked for a pause");
  return found;
}

const shares = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
export const showShare = (share: number): string => shares.format(share);
