/** What a tenant has made, by day and model: read once for the figures on top and the charts below. */
import { useQuery } from "@tanstack/preact-query";
import { getAllUsage } from "#gateway";
import { nowMs } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { useStanding } from "../../ui/standing.ts";
import { tenantQuery } from "./acts.ts";

const dayMs = 86_400_000;

/** UTC days, the last one today's. */
export function lastDays(howMany: number, nowMs: number): string[] {
  const day = (ago: number) => new Date(nowMs - ago * dayMs).toISOString().slice(0, 10);
  return Array.from({ length: howMany }, (_, index) => day(howMany - 1 - index));
}

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
  const { data, error } = useStanding(read);
  return { days, today, rows: data?.data, error };
}
