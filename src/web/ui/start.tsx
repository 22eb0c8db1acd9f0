/** Puts a page on the screen, with what all of its parts share. */
import { QueryClient, QueryClientProvider } from "@tanstack/preact-query";
// biome-ignore lint/suspicious/noDeprecatedImports: one of its two forms is, and not the one used here.
import { type ComponentChild, render } from "preact";
import { Refusal } from "./call.ts";

/** Whether asking again could help: a refusal stands, a silence may pass. */
function maybeLater(failures: number, error: unknown): boolean {
  return failures < 2 && !(error instanceof Refusal && error.status > 0 && error.status < 500);
}

export function start(page: ComponentChild): void {
  const client = new QueryClient({
    defaultOptions: {
      // Tried also when the browser says that it is offline, which it may be wrong about; and a failure is then said.
      queries: { retry: maybeLater, refetchOnWindowFocus: true, staleTime: 1_000, networkMode: "always" },
      // What waited for the network would be sent when nobody expects it any more.
      mutations: { networkMode: "always" },
    },
  });
  const root = document.getElementById("page");
  if (!root) throw new Error("the page has no place for itself");
  render(<QueryClientProvider client={client}>{page}</QueryClientProvider>, root);
}
