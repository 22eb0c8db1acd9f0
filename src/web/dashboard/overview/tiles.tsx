/** The overview's tiles, one figure each. */
import { Link } from "wouter-preact";
import { dayOf } from "../../ui/days.ts";
import { count, showAgo, showNumber, showSeconds, showTime } from "../../ui/format.ts";
import type { Audited, Figures, Readiness } from "./overview-data.ts";
import { Lines, Tile } from "./tile.tsx";
import { highErrorRate, oldSeconds, ownErrorRate, parts, showShare } from "./verdict.ts";

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

export function Unfinished({ figures }: { figures: Figures }) {
  const states = Object.entries(figures.tasks_by_state);
  return (
    <Tile title="Unfinished tasks" figure={showNumber(sum(states.map(([, tasks]) => tasks)))}>
      {states.length === 0 && <p class="soft">Nothing is under way.</p>}
      <Lines lines={states.map(([state, tasks]) => [state, showNumber(tasks)])} />
      {states.length > 0 && (
        <p>
          <Link href="/tasks?status=pending">Pending</Link> ·{" "}
          <Link href="/tasks?status=processing">Processing</Link>
        </p>
      )}
    </Tile>
  );
}

export function Oldest({ figures }: { figures: Figures }) {
  const { oldest_unfinished_seconds: age } = figures;
  if (age === null) return <Tile title="Oldest unfinished" figure="none" />;
  const [oldest] = figures.oldest_unfinished;
  const isOld = age > oldSeconds;
  return (
    <Tile title="Oldest unfinished" figure={showSeconds(age)} tone={isOld ? "bad" : undefined}>
      <p class="soft">{ageInWords(age, figures.last_day.time_to_picture_seconds.p95)}</p>
      {oldest && <Link href={`/tasks/${oldest.id}`}>Open the oldest</Link>}
    </Tile>
  );
}

/** @param usual The seconds within which 95 of 100 are done; null: none is done yet. */
function ageInWords(age: number, usual: number | null): string {
  if (age > oldSeconds) return `Older than ${showSeconds(oldSeconds)}: it waits for something.`;
  if (usual === null) return "There is no picture of the last 24 hours to compare it with.";
  return age <= usual
    ? "Not longer than most take."
    : `Longer than 95 of 100 took, which is ${showSeconds(usual)}.`;
}

export function Today({ figures, nowMs }: { figures: Figures; nowMs: number }) {
  const today = figures.days.find(({ date }) => date === dayOf(nowMs));
  return (
    <Tile title="Today" figure={count(today?.images ?? 0, "image")}>
      <Lines
        lines={[
          ["Credits charged", showNumber(today?.credits ?? 0)],
          ["Tasks", showNumber(today?.tasks ?? 0)],
          ["Failed", showNumber(today?.failed ?? 0)],
        ]}
      />
      {!figures.complete && <p class="soft">Some of the last minutes are in no figure yet.</p>}
    </Tile>
  );
}

export function Errors({ figures }: { figures: Figures }) {
  const { error_rate: rate, failures, tasks } = figures.last_day;
  const own = ownErrorRate(figures.last_day);
  const askedFor = Math.round((rate - own) * tasks);
  const byCode = Object.entries(failures).toSorted(([, a], [, b]) => b - a);
  return (
    <Tile
      title="Errors in 24 hours"
      figure={tasks === 0 ? "none" : showShare(rate)}
      tone={own > highErrorRate ? "bad" : undefined}
    >
      <p class="soft">
        of {count(tasks, "task")}
        {askedFor > 0 && `; ${showNumber(askedFor)} failed by what was asked`}
      </p>
      <Lines lines={byCode.map(([code, failed]) => [<code key={code}>{code}</code>, showNumber(failed)])} />
    </Tile>
  );
}

export function TimeToPicture({ figures }: { figures: Figures }) {
  const { p50, p95 } = figures.last_day.time_to_picture_seconds;
  const show = (seconds: number | null) => (seconds === null ? "none yet" : showSeconds(seconds));
  return (
    <Tile title="Time to picture" figure={show(p50)}>
      <p class="soft">Half of the last 24 hours' pictures were there by then.</p>
      <Lines lines={[["95 of 100", show(p95)]]} />
    </Tile>
  );
}

export function Upstream({ figures, nowMs }: { figures: Figures; nowMs: number }) {
  const { last_accepted_at: last, credits_left: credits, cools_down_until: until } = figures.upstream;
  const isEmpty = credits !== null && credits <= 0;
  return (
    <Tile
      title="Upstream"
      figure={until === null ? "takes tasks" : "pauses"}
      tone={until !== null || isEmpty ? "busy" : undefined}
    >
      {until !== null && <p>It asked for a pause of the whole account until {showTime(until)}.</p>}
      <Lines
        lines={[
          ["Last accepted", last === null ? "not in 24 hours" : showAgo(last, nowMs)],
          ["Credits left", credits === null ? "it did not say" : showNumber(credits)],
        ]}
      />
    </Tile>
  );
}

export function Ready({ readiness }: { readiness: Readiness | undefined }) {
  if (!readiness) return <Tile title="Readiness" figure="unknown" />;
  const isReady = readiness.status === "ok";
  const { checks = {}, oldest_overdue_seconds: overdue = 0 } = readiness;
  return (
    <Tile title="Readiness" figure={isReady ? "ready" : "not ready"} tone={isReady ? "good" : "bad"}>
      <Lines
        lines={[
          ...Object.entries(checks).map(([part, state]): [string, string] => [
            parts[part as keyof typeof parts] ?? part,
            state,
          ]),
          ["Oldest overdue", overdue === 0 ? "none" : showSeconds(overdue)],
        ]}
      />
    </Tile>
  );
}

export function Reconciliation({ reconciled }: { reconciled: Audited | undefined }) {
  if (!reconciled) return <Tile title="Audit" figure="being checked" />;
  const { ok, data, tenants_checked: tenants, next_cursor } = reconciled;
  return (
    <Tile title="Audit" figure={ok ? "sound" : count(data.length, "problem")} tone={ok ? "good" : "bad"}>
      <p class="soft">
        {ok ? "Everything agrees." : "Something does not agree."} {count(tenants, "tenant")} checked
        {next_cursor === null ? "." : ", and there are more."}
      </p>
      <Link href="/audit">{ok ? "Open reconciliation" : "See what is wrong"}</Link>
    </Tile>
  );
}
