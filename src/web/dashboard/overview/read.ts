/** What the overview is drawn from: three questions to the gateway, each with a pace of its own. */
import { useQuery } from "@tanstack/preact-query";
import { getOverview, readyz } from "#gateway";
import { call, Refusal } from "../../ui/call.ts";
import { useStanding } from "../../ui/standing.ts";
import { checkFrom } from "../audit/walk.ts";

export const daysShown = 30;
const refreshMs = 10_000;
/** The check reads a lot, and what it finds does not come and go. */
const auditMs = 60_000;

const readOverview = () => call(getOverview({ days: daysShown }));
export type Figures = Awaited<ReturnType<typeof readOverview>>;

/** "Not ready" is an answer too, and the one that matters most. */
async function readReadiness() {
  const reply = await readyz().catch(() => undefined);
  if (reply?.status === 200 || reply?.status === 503) return reply.data;
  throw new Refusal("Readiness could not be read.", { code: "out_of_reach", status: reply?.status ?? 0 });
}
export type Readiness = Awaited<ReturnType<typeof readReadiness>>;

export function useOverview() {
  const overview = useQuery({
    queryKey: ["overview"],
    queryFn: readOverview,
    refetchInterval: refreshMs,
  });
  const readiness = useQuery({
    queryKey: ["readiness"],
    queryFn: readReadiness,
    refetchInterval: refreshMs,
  });
  const audit = useQuery({
    queryKey: ["audit", "first tenants"],
    queryFn: () => checkFrom(undefined),
    refetchInterval: auditMs,
    staleTime: auditMs,
  });
  return {
    overview: { ...useStanding(overview), dataUpdatedAt: overview.dataUpdatedAt },
    readiness: useStanding(readiness),
    audit: useStanding(audit),
  };
}

export type Audited = Awaited<ReturnType<typeof checkFrom>>;
