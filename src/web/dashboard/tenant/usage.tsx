/** A tenant's images and credits by day and model. */
import { getAllUsage } from "#gateway";
import { nowMs } from "../../ui/browser.ts";
import { Chart } from "../../ui/chart/chart.tsx";
import { Problem } from "../../ui/notice.tsx";
import { Panel, Placeholder } from "../panel.tsx";
import { CsvButton } from "./csv-button.tsx";
import { usagePeriod, useUsage } from "./usage-query.ts";
import "./usage.css";

export function Usage({ id }: { id: string }) {
  const { days, rows, error } = useUsage(id);
  const readCsv = (headers: Record<string, string>) => {
    const { first } = usagePeriod(nowMs());
    const query = { tenant: id, $from: first, group: "day,model", format: "csv" } as const;
    return { name: `usage-${id}-from-${first}`, table: getAllUsage(query, { headers }) };
  };
  const models = [...new Set(rows?.map(({ model = "" }) => model))].sort((a, b) => a.localeCompare(b));
  const seriesOf = (field: "images" | "credits") =>
    models.map((model) => {
      const values = new Map(rows?.filter((row) => row.model === model).map((row) => [row.day, row[field]]));
      return { name: model, values: days.map((day) => values.get(day) ?? 0) };
    });
  return (
    <Panel title="Usage, 30 days" isWide actions={<CsvButton read={readCsv} />}>
      <Problem error={error} />
      {rows?.length === 0 && <Placeholder>Nothing was made in these days.</Placeholder>}
      {models.length > 0 && (
        <div class="usage">
          <Chart title="Images by day" days={days} series={seriesOf("images")} />
          <Chart title="Credits by day" days={days} series={seriesOf("credits")} />
        </div>
      )}
    </Panel>
  );
}
