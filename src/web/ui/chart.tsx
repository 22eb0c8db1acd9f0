/** Figures by day, as bars that stand on one another; and as a table, for those who would rather read, or must. */
import { showNumber } from "./format.ts";

export interface ChartProps {
  title: string;
  /** UTC days, as 2026-01-31. */
  days: string[];
  /** A value for each day. */
  series: { name: string; values: number[] }[];
}

export function Chart({ title, days, series }: ChartProps) {
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <details>
        <summary>As a table</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
        <section class="scroller" tabIndex={0} aria-label={title}>
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
        </section>
      </details>
    </figure>
  );
}
