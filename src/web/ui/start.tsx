/** Puts a page on the screen, with the query client that its parts share. */
import { QueryClient, QueryClientProvider } from "@tanstack/preact-query";
// biome-ignore lint/suspicious/noDeprecatedImports: only the form of `render` that is not used here is deprecated.
import { type ComponentChild, render } from "preact";
import { Refusal } from "./call.ts";

/** Whether another attempt could help: not after a refusal of the request, but after an outage. */
function mayRetry(failures: number, error: unknown): boolean {
  return failures < 2 && !(error instanceof Refusal && error.status > 0 && error.status < 500);
}

export function start(page: ComponentChild): void {
  const client = new QueryClient({
    defaultOptions: {
      // The browser may be wrong in saying that it is offline, so the read is attempted and its failure shown.
      queries: { retry: mayRetry, refetchOnWindowFocus: true, staleTime: 1_000, networkMode: "always" },
      // A change that waited for the network would be sent long after the click.
      mutations: { networkMode: "always" },
    },
  });
  const root = document.getElementById("page");
  if (!root) throw new Error("the page has no place for itself");
  render(<QueryClientProvider client={client}>{page}</QueryClientProvider>, root);
}
