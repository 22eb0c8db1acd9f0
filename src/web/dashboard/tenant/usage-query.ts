/** A tenant's usage by day and model. The figures and the charts share one read. */
import { useQuery } from "@tanstack/preact-query";
import { getAllUsage } from "#gateway";
import { nowMs } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { lastDays } from "../../ui/days.ts";
import { useLastKnown } from "../../ui/last-known.ts";
import { tenantQuery } from "./tenant-actions.ts";

export const usagePeriod = (nowMs: number) => {
  const days = lastDays(30, nowMs);
  return { days, first: days[0] ?? "", today: days.at(-1) ?? "" };
};

export function useUsage(id: string) {
  const { days, first, today } = usagePeriod(nowMs());
  const read = useQuery({
    queryKey: tenantQuery(id, "usage", today),
    queryFn: () => call(getAllUsage({ tenant: id, $from: first, group: "day,model" })),
    refetchInterval: 30_000,
  });
  const { data, error } = useLastKnown(read);
  return { days, today, rows: data?.data, error };
}
