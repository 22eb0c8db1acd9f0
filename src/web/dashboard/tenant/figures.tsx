/** A tenant's most important figures. */
import type { Tenant } from "#gateway";
import { showNumber } from "../../ui/format.ts";
import { useUsage } from "./usage-query.ts";
import { warningsOf } from "./warnings.ts";
import "./figures.css";

interface FigureProps {
  name: string;
  value: string;
  more?: string | undefined;
  tone?: string | undefined;
  /** The used share of a limit, 0 to 1. */
  used?: number | undefined;
}

function Figure({ name, value, more, tone = "", used }: FigureProps) {
  return (
    <div class={`sum-box ${tone}`}>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        {used !== undefined && <meter aria-label={`${name}, of its limit`} value={used} high={0.8} />}
        {more && <small class="soft">{more}</small>}
      </dd>
    </div>
  );
}

export function Figures({ tenant }: { tenant: Tenant }) {
  const { rows = [], today } = useUsage(tenant.id);
  const todays = rows.filter(({ day }) => day === today);
  const sum = (of: typeof rows, field: "images" | "credits") =>
    of.reduce((total, row) => total + row[field], 0);
  const { balance, available, held, limits } = tenant;
  const dayLimit = limits.images_per_day;
  const images = sum(todays, "images");
  const warning = warningsOf(tenant).find(({ short }) => short === "no credits" || short === "low balance");
  return (
    <dl class="sums">
      <Figure
        name="Available"
        value={available === null ? "—" : showNumber(available)}
        more={balance === null ? "metered, not prepaid" : `credits of ${showNumber(balance)}`}
        tone={warning?.tone ?? (available === null ? "" : "good")}
      />
      <Figure name="Held" value={showNumber(held)} more="credits, for tasks under way" />
      <Figure
        name="Images today"
        value={showNumber(images)}
        more={dayLimit === null ? "no daily limit" : `of ${showNumber(dayLimit)} a day`}
        used={dayLimit === null ? undefined : Math.min(1, images / dayLimit)}
      />
      <Figure name="Credits today" value={showNumber(sum(todays, "credits"))} more="charged" />
      <Figure
        name="Images in 30 days"
        value={showNumber(sum(rows, "images"))}
        more={`${showNumber(sum(rows, "credits"))} credits`}
      />
    </dl>
  );
}
