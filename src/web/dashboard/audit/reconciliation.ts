/** Reconciliation of all tenants. The API reconciles some of them a call; this calls it until all are done. */
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";
import { getAudit, runAudit } from "#gateway";
import { call } from "../../ui/call.ts";

type Checked = Awaited<ReturnType<typeof reconcileFrom>>;
export type Discrepancy = Checked["data"][number];

/** Reconciles some tenants, and changes nothing. @param cursor The tenant after which to begin; undefined: the first. */
export const reconcileFrom = (cursor: string | undefined) => call(getAudit({ cursor, actsLimit: 1 }));

/** Repairs what can be, of all tenants. */
async function repairAll(): Promise<void> {
  for (let cursor: string | undefined; ; ) {
    const { next_cursor: next } = await call(runAudit({ cursor, actsLimit: 1 }));
    if (next === null) return;
    cursor = next;
  }
}

const reconciliationKey = ["reconciliation", "all tenants"];

export function useReconciliation() {
  const client = useQueryClient();
  const { data, error, hasNextPage, isFetching, dataUpdatedAt, fetchNextPage } = useInfiniteQuery({
    queryKey: reconciliationKey,
    queryFn: ({ pageParam }: { pageParam: string | undefined }) => reconcileFrom(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Checked) => last.next_cursor ?? undefined,
    // Reconciliation reads a lot: it runs when the section is opened, and again on request.
    refetchOnWindowFocus: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  useEffect(() => {
    if (hasNextPage && !isFetching && !error) void fetchNextPage();
  }, [hasNextPage, isFetching, error, fetchNextPage]);
  const again = () => client.resetQueries({ queryKey: reconciliationKey });
  const repair = useMutation({ mutationFn: repairAll, onSuccess: again });
  const pages = data?.pages ?? [];
  return {
    problems: distinct(pages.flatMap((page) => page.data)),
    tenants: pages.reduce((total, page) => total + page.tenants_checked, 0),
    isOver: data !== undefined && !hasNextPage && !isFetching,
    checkedAt: dataUpdatedAt / 1000,
    error: error ?? repair.error,
    again,
    repair: () => repair.mutate(),
    isRepairing: repair.isPending,
  };
}

/** Overdue tasks belong to no tenant, so each call finds them anew. */
function distinct(problems: Discrepancy[]): Discrepancy[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}
