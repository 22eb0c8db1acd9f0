/**
 * Where in the dashboard one is: all of it behind the `#`, filters included, as `#/tasks?status=failed`. What is behind
 * it is never sent to the server, and belongs to one section alone: going to another leaves it behind.
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
  // The library would put them before the `#`.
  history[replace ? "replaceState" : "pushState"](null, "", `#${path}?${filters}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** A location hook for the router, and what its `useSearchParams` reads. */
export const useAddress = Object.assign((): [string, typeof go] => [useParts()[0], go], {
  hrefs: (path: string) => `#${path}`,
  searchHook: () => useParts()[1],
});
