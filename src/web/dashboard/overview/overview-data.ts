/** The overview's data: three reads, each at its own pace. */
import { useQuery } from "@tanstack/preact-query";
import { getOverview, readyz } from "#gateway";
import { call, Refusal } from "../../ui/call.ts";
import { useLastKnown } from "../../ui/last-known.ts";
import { reconcileFrom } from "../audit/reconciliation.ts";

export const daysShown = 30;
const refreshMs = 10_000;
/** Reconciliation reads a lot, and its findings stay. */
const auditMs = 60_000;

const readOverview = () => call(getOverview({ days: daysShown }));
export type Figures = Awaited<ReturnType<typeof readOverview>>;

/** Reads readiness. "Not ready" is a reply of status 503, not an error of the read. */
async function readReadiness() {
  const reply = await readyz().catch(() => undefined);
  if (reply?.status === 200 || reply?.status === 503) return reply.data;
  throw new Refusal("Readiness could not be read.", { code: "no_reply", status: reply?.status ?? 0 });
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
    queryKey: ["reconciliation", "first tenants"],
    queryFn: () => reconcileFrom(undefined),
    refetchInterval: auditMs,
    staleTime: auditMs,
  });
  return {
    overview: { ...useLastKnown(overview), dataUpdatedAt: overview.dataUpdatedAt },
    readiness: useLastKnown(readiness),
    audit: useLastKnown(audit),
  };
}

export type Audited = Awaited<ReturnType<typeof reconcileFrom>>;
