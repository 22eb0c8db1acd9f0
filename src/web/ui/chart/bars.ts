/**
 * Stacked bars by day on a canvas, drawn by uPlot. Colours come from the style sheet: they are read off the elements
 * that have them.
 */
import type uPlot from "uplot";
import { shortDay } from "../days.ts";

export interface Bars {
  days: string[];
  /** A list for each series, lowest in the stack first. */
  values: number[][];
  /** As many as there are series. */
  colours: string[];
  /** The colours of text and of lines. */
  ink: { text: string; line: string };
  /** The day that the pointer is on; null: none. */
  onPoint: (index: number | null) => void;
}

const heightPx = 190;
const compact = new Intl.NumberFormat("en", { notation: "compact" });
/** Figures are whole numbers, so the marks of the axis are too. */
const steps = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].flatMap((ten) => [ten, 2 * ten, 5 * ten]);

/**
 * Draws into a box, and again whenever the box changes its width. uPlot is loaded only here: at its load it throws in
 * a browser without a valid language, as bare environments have, and that must not stop the page.
 * @returns a function that removes the drawing.
 */
export async function drawBars(box: HTMLElement, bars: Bars): Promise<() => void> {
  const { default: Plot } = await import("uplot");
  const plot = new Plot(options(bars, box.clientWidth, Plot.paths), stacked(bars), box);
  // The observer is also called once at the start, when the width has not changed.
  const observer = new ResizeObserver(() => {
    if (box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: heightPx });
  });
  observer.observe(box);
  return () => {
    observer.disconnect();
    plot.destroy();
  };
}

/** Each series stands on those before it. The topmost is drawn first, so that the lower ones cover its foot. */
function stacked({ days, values }: Bars): uPlot.AlignedData {
  const tops: number[][] = [];
  for (const list of values) {
    const below = tops.at(-1);
    tops.push(days.map((_, day) => (list[day] ?? 0) + (below?.[day] ?? 0)));
  }
  return [days.map((_, day) => day), ...tops.toReversed()];
}

function options(
  { days, colours, ink, onPoint }: Bars,
  width: number,
  paths: uPlot.Series.PathBuilderFactories,
): uPlot.Options {
  const lines = { stroke: ink.line, width: 1 };
  const axis = { stroke: ink.text, font: "12px system-ui, sans-serif", ticks: { show: false } };
  return {
    width,
    height: heightPx,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: () => [-0.6, days.length - 0.4] },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] },
    },
    series: [
      {},
      ...colours.toReversed().map((fill) => ({
        fill,
        width: 0,
        points: { show: false },
        ...(paths.bars && { paths: paths.bars({ size: [0.72, 36], radius: 0.15 }) }),
      })),
    ],
    axes: [
      {
        ...axis,
        size: 28,
        space: 64,
        incrs: [1, 2, 7, 14, 28],
        grid: { show: false },
        values: (_, splits) => splits.map((day) => (days[day] ? shortDay(days[day]) : "")),
      },
      {
        ...axis,
        size: 48,
        space: 36,
        incrs: steps,
        grid: lines,
        values: (_, splits) => splits.map((value) => compact.format(value)),
      },
    ],
    hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
  };
}
