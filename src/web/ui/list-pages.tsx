/** Lists page by page, as the API gives them. The browser holds one page, whatever the list's length. */
import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLastKnown } from "./last-known.ts";
import "./list-pages.css";

export interface ListPage<Row> {
  data: Row[];
  next_cursor: string | null;
}

/**
 * Reads a list page by page.
 * @param key Names the list, filters included. The component's own `key` has to change with it, so that another list
 *   begins at its first page.
 * @param read Reads the page that a cursor names; undefined: the first.
 * @param refreshMs The time between two reads of the page in view; false: it is read once.
 */
export function usePages<Row>(
  key: unknown[],
  read: (cursor: string | undefined) => Promise<ListPage<Row>>,
  refreshMs: number | false = false,
) {
  // The cursors of the pages up to the one in view: the API has no cursor that leads back.
  const [trail, setTrail] = useState<string[]>([]);
  const cursor = trail.at(-1);
  const query = useQuery({
    queryKey: [...key, cursor ?? "first"],
    queryFn: () => read(cursor),
    placeholderData: keepPreviousData,
    refetchInterval: refreshMs,
  });
  const { data, error } = useLastKnown(query);
  const next = data?.next_cursor ?? null;
  const goOn = () => {
    // While a page is loading the previous one is shown, whose next cursor leads to the page that is loading.
    if (next !== null && query.data && !query.isPlaceholderData) setTrail([...trail, next]);
  };
  return {
    /** The rows of the last read that succeeded. */
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
  /** The buttons' names. Most lists begin with the newest. */
  names?: readonly [back: string, next: string];
}

/** The buttons from page to page. A list of one page has none. */
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
