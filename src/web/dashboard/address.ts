/**
 * The dashboard's address: section and filters stand behind the `#`, as in `#/tasks?status=failed`, where they are not
 * sent to the server. Filters belong to one section: another section begins without them.
 */
import { navigate, useHashLocation } from "wouter-preact/use-hash-location";

function useParts(): [path: string, filters: string] {
  const [whole] = useHashLocation();
  const [path = "/", filters = ""] = whole.split("?", 2);
  return [path, filters];
}

function go(to: string, { replace = false } = {}): void {
  const [path = "/", filters] = to.split("?", 2);
  if (filters === undefined) {
    navigate(path, { replace });
    return;
  }
  // The library would put the filters before the `#`.
  history[replace ? "replaceState" : "pushState"](null, "", `#${path}?${filters}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** A location hook for the router, with the hook that `useSearchParams` reads the filters by. */
export const useAddress = Object.assign((): [string, typeof go] => [useParts()[0], go], {
  hrefs: (path: string) => `#${path}`,
  searchHook: () => useParts()[1],
});
