/** The state of the gateway and its business at a glance. */
import { Chart } from "../../ui/chart/chart.tsx";
import { lastDays } from "../../ui/days.ts";
import { showClock, showSeconds } from "../../ui/format.ts";
import { Notice, Problem } from "../../ui/notice.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { TaskLink, TenantLink, When } from "../when.tsx";
import { daysShown, type Figures, useOverview } from "./overview-data.ts";
import {
  Errors,
  Oldest,
  Ready,
  Reconciliation,
  TimeToPicture,
  Today,
  Unfinished,
  Upstream,
} from "./tiles.tsx";
import { unreachable, type Verdict, verdictOf } from "./verdict.ts";
import "./overview.css";

export function Overview() {
  const { overview, readiness, audit } = useOverview();
  const { data: figures, dataUpdatedAt: nowMs } = overview;
  return (
    <>
      <div class="row between">
        <h1>Overview</h1>
        {figures && (
          <p class="soft">
            As of <When at={nowMs / 1000} toSecond />
          </p>
        )}
      </div>
      {overview.error && figures ? (
        <Notice kind="error">
          Not reached since {showClock(nowMs)}; the figures are of then. {overview.error.message}
        </Notice>
      ) : (
        <Problem error={overview.error ?? readiness.error ?? audit.error} />
      )}
      {!figures && !overview.error && <p class="empty">Reading…</p>}
      {figures && (
        <>
          <Glance
            verdict={
              overview.error
                ? unreachable
                : verdictOf(figures, readiness.error ? null : readiness.data, audit.data)
            }
          />
          <div class={overview.error ? "tiles stale" : "tiles"}>
            <Unfinished figures={figures} />
            <Oldest figures={figures} />
            <Today figures={figures} nowMs={nowMs} />
            <Errors figures={figures} />
            <TimeToPicture figures={figures} />
            <Upstream figures={figures} nowMs={nowMs} />
            <Ready readiness={readiness.error ? undefined : readiness.data} />
            <Reconciliation reconciled={audit.data} />
          </div>
          <Days figures={figures} nowMs={nowMs} />
          <OldestTasks figures={figures} nowMs={nowMs} />
        </>
      )}
    </>
  );
}

function Glance({ verdict: { tone, text, reasons } }: { verdict: Verdict }) {
  const why = reasons.join("; ");
  return (
    <div class={`verdict ${tone}`} role="status" aria-label="Verdict">
      <strong>{text}</strong>
      {why && <span>{`${why.charAt(0).toUpperCase()}${why.slice(1)}.`}</span>}
    </div>
  );
}

function Days({ figures, nowMs }: { figures: Figures; nowMs: number }) {
  const days = lastDays(daysShown, nowMs);
  const known = new Map(figures.days.map((day) => [day.date, day]));
  const values = (of: (day: Figures["days"][number]) => number) =>
    days.map((day) => {
      const counted = known.get(day);
      return counted ? of(counted) : 0;
    });
  const charts = [
    { title: "Images", series: [{ name: "Images", values: values(({ images }) => images) }] },
    { title: "Credits charged", series: [{ name: "Credits", values: values(({ credits }) => credits) }] },
    {
      title: "Tasks",
      series: [
        { name: "Not failed", values: values(({ tasks, failed }) => tasks - failed) },
        { name: "Failed", values: values(({ failed }) => failed) },
      ],
    },
  ];
  return (
    <section class="charts" aria-label="By day">
      {charts.map(({ title, series }) => (
        <div key={title} class="panel">
          <Chart title={title} days={days} series={series} />
        </div>
      ))}
    </section>
  );
}

function OldestTasks({ figures, nowMs }: { figures: Figures; nowMs: number }) {
  const tasks = figures.oldest_unfinished;
  if (tasks.length === 0) return null;
  return (
    <section class="panel" aria-label="Oldest unfinished tasks">
      <h2>Oldest unfinished tasks</h2>
      <Scroller label="Table of the oldest unfinished tasks">
        <table class="roomy">
          <thead>
            <tr>
              <th scope="col">Task</th>
              <th scope="col">Tenant</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                Attempts
              </th>
              <th scope="col" class="number">
                Age
              </th>
            </tr>
          </thead>
          <tbody>
            {tasks.map(({ id, tenant, state, attempts, created }) => (
              <tr key={id}>
                <td>
                  <TaskLink id={id} />
                </td>
                <td>
                  <TenantLink id={tenant} />
                </td>
                <td>{state}</td>
                <td class="number">{attempts}</td>
                <td class="number">{showSeconds(Math.max(0, nowMs / 1000 - created))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroller>
    </section>
  );
}
