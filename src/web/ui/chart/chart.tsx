/** Figures by day, as stacked bars, and as a table for readers who prefer text or hear the page. */
import { useEffect, useRef, useState } from "preact/hooks";
import { everyDay, shortDay } from "../days.ts";
import { showNumber } from "../format.ts";
import { Scroller } from "../scroller.tsx";
import { drawBars } from "./bars.ts";
import "uplot/dist/uPlot.min.css";
import "./chart.css";

export interface ChartProps {
  title: string;
  /** UTC days, as 2026-01-31. A day that is left out between them counts as 0. */
  days: string[];
  /** A value for each day. */
  series: { name: string; values: number[] }[];
}

type Figures = Pick<ChartProps, "days" | "series">;

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

export function Chart({ title, days, series }: ChartProps) {
  const filled = fill({ days, series });
  const isEmpty = filled.series.every(({ values }) => values.every((value) => value === 0));
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      {isEmpty ? <p class="chart-empty">No figures yet.</p> : <Drawing title={title} {...filled} />}
      {!isEmpty && <Table title={title} {...filled} />}
    </figure>
  );
}

/** The same figures with every day between the first and the last. */
function fill({ days, series }: Figures): Figures {
  const [first] = days;
  if (first === undefined) return { days, series };
  // The API gives days in their order.
  const all = everyDay(first, days.at(-1) ?? first);
  const places = all.map((day) => days.indexOf(day));
  return {
    days: all,
    series: series.map(({ name, values }) => ({ name, values: places.map((place) => values[place] ?? 0) })),
  };
}

const leastDays = 7;

/**
 * The day at which the drawing begins. Leading days without figures are left out, as they would press the bars of a
 * young installation to the far edge. The table has every day.
 */
function beginOf(series: Figures["series"]): number {
  const firsts = series.map(({ values }) => values.findIndex((value) => value !== 0)).filter((at) => at >= 0);
  const days = series[0]?.values.length ?? 0;
  return Math.max(0, Math.min(...firsts, days - leastDays));
}

function Drawing({ title, days, series }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLUListElement>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const scheme = useColourScheme();
  const figures = JSON.stringify([days, series]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the drawing is made anew when figures or colours change, not at every refresh.
  useEffect(() => {
    const place = box.current;
    if (place === null) return;
    const keys = [...(legend.current?.querySelectorAll(".chart-key") ?? [])];
    const { color: text, borderTopColor: line } = getComputedStyle(place);
    const from = beginOf(series);
    const drawn = drawBars(place, {
      days: days.slice(from),
      values: series.map(({ values }) => values.slice(from)),
      colours: keys.map((key) => getComputedStyle(key).backgroundColor),
      ink: { text, line },
      onPoint: (index) => setPointed(index === null ? null : from + index),
    });
    // Without the drawing, the legend and the table still have all the figures.
    drawn.catch(() => place.classList.add("undrawn"));
    return () => {
      drawn.then(
        (remove) => remove(),
        () => {},
      );
    };
  }, [figures, scheme]);

  const day = pointed === null ? undefined : days[pointed];
  const totals = series.map(({ name, values }) => `${name} ${showNumber(sum(values))}`).join(", ");
  return (
    <>
      <ul class="chart-legend" ref={legend}>
        {series.map(({ name, values }) => (
          <li key={name}>
            <span class="chart-key" />
            {name} <b>{showNumber(day === undefined ? sum(values) : (values[pointed ?? 0] ?? 0))}</b>
          </li>
        ))}
        <li class="soft">
          {day === undefined ? `in ${days.length === 1 ? "a day" : `${days.length} days`}` : shortDay(day)}
        </li>
      </ul>
      <div class="chart-box" ref={box} role="img" aria-label={`${title}, bars by day. In all: ${totals}.`} />
    </>
  );
}

/** Whether the scheme is dark. A canvas keeps the colours that it was drawn with, so a change draws it anew. */
function useColourScheme(): boolean {
  const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const update = () => setDark(query.matches);
    query.addEventListener("change", update);
    return () => query.removeEventListener("change", update);
  }, []);
  return isDark;
}

function Table({ title, days, series }: ChartProps) {
  return (
    <details>
      <summary>As a table</summary>
      <Scroller label={title}>
        <table>
          <thead>
            <tr>
              <th scope="col">Day</th>
              {series.map(({ name }) => (
                <th key={name} scope="col" class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days.map((day, index) => (
              <tr key={day}>
                <th scope="row">{day}</th>
                {series.map(({ name, values }) => (
                  <td key={name} class="number">
                    {showNumber(values[index] ?? 0)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroller>
    </details>
  );
}
