/** The self-check over all tenants. The API checks some of them a call; this goes on until all have been. */
import { useInfiniteQuery, useQueryClient } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";
import { getAudit } from "#gateway";
import { call } from "../../ui/call.ts";

type Checked = Awaited<ReturnType<typeof checkFrom>>;
export type Unsound = Checked["data"][number];

/** @param cursor The tenant after which to begin. */
export const checkFrom = (cursor: string | undefined) => call(getAudit({ cursor, actsLimit: 1 }));

const walkKey = ["audit", "walk"];

export function useWalk() {
  const client = useQueryClient();
  const { data, error, hasNextPage, isFetching, dataUpdatedAt, fetchNextPage } = useInfiniteQuery({
    queryKey: walkKey,
    queryFn: ({ pageParam }: { pageParam: string | undefined }) => checkFrom(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Checked) => last.next_cursor ?? undefined,
    // It reads a lot: it is begun by whoever comes to see it, and again when asked to.
    refetchOnWindowFocus: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  useEffect(() => {
    if (hasNextPage && !isFetching && !error) void fetchNextPage();
  }, [hasNextPage, isFetching, error, fetchNextPage]);
  const pages = data?.pages ?? [];
  return {
    problems: distinct(pages.flatMap((page) => page.data)),
    tenants: pages.reduce((total, page) => total + page.tenants_checked, 0),
    isOver: data !== undefined && !hasNextPage && !isFetching,
    checkedAt: dataUpdatedAt / 1000,
    error,
    again: () => client.resetQueries({ queryKey: walkKey }),
  };
}

/** What is overdue belongs to no tenant, so that each call finds it anew. */
export function distinct(problems: Unsound[]): Unsound[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}
