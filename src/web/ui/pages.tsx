/** Lists by pages, as the API gives them: however long one is, the page holds one page of it. */
import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useStanding } from "./standing.ts";

export interface ListPage<Row> {
  data: Row[];
  next_cursor: string | null;
}

/**
 * Reads a list page by page.
 * @param key Names the list, filters included. Another key begins at the first page; give the component a `key` of it.
 * @param read Reads the page that a cursor names; undefined: the first.
 * @param refreshMs How often the page in view is read again; false: it is not.
 */
export function usePages<Row>(
  key: unknown[],
  read: (cursor: string | undefined) => Promise<ListPage<Row>>,
  refreshMs: number | false = false,
) {
  // The cursors of the pages gone through: going back needs no other way.
  const [trail, setTrail] = useState<string[]>([]);
  const cursor = trail.at(-1);
  const query = useQuery({
    queryKey: [...key, cursor ?? "first"],
    queryFn: () => read(cursor),
    placeholderData: keepPreviousData,
    refetchInterval: refreshMs,
  });
  const { data, error } = useStanding(query);
  const next = data?.next_cursor ?? null;
  const goOn = () => {
    // While a page is on its way the one before is shown, and its way on leads to where the reader is going already.
    if (next !== null && query.data && !query.isPlaceholderData) setTrail([...trail, next]);
  };
  return {
    /** Those that were read last, also when they could not be read again since. */
    rows: data?.data ?? [],
    error,
    isLoading: data === undefined && error === null,
    page: trail.length + 1,
    goNext: next === null ? undefined : goOn,
    goBack: trail.length === 0 ? undefined : () => setTrail(trail.slice(0, -1)),
  };
}

export type Pages = Pick<ReturnType<typeof usePages>, "page" | "goNext" | "goBack">;

interface PageTurnerProps extends Pages {
  /** Of the two ways. Most lists begin with the newest. */
  names?: readonly [back: string, next: string];
}

/** The way through the pages; nothing when there is only one. */
export function PageTurner({ page, goNext, goBack, names = ["Newer", "Older"] }: PageTurnerProps) {
  if (!goNext && !goBack) return null;
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" onClick={goBack} disabled={!goBack}>
        ← {names[0]}
      </button>
      <span aria-live="polite">Page {page}</span>
      <button type="button" onClick={goNext} disabled={!goNext}>
        {names[1]} →
      </button>
    </nav>
  );
}
