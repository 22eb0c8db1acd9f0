/** The price of the form's request, which is read when the typing pauses. */
import { useQuery } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { quote } from "#gateway";
import { useSession } from "../session.ts";
import type { Body } from "./draft.ts";

const pauseMs = 400;

/** The price; undefined while it is not read, or the request is wrong. A wrong request is refused at its submission. */
export function useQuote(body: Body, isReady: boolean): { images: number; credits: number } | undefined {
  const { ask } = useSession();
  const text = JSON.stringify(body);
  const settled = useSettled(text);
  const { data } = useQuery({
    queryKey: ["quote", settled],
    queryFn: () => ask(quote(JSON.parse(settled) as Body)),
    enabled: isReady && settled === text,
    retry: false,
    staleTime: 60_000,
  });
  return isReady && settled === text ? data : undefined;
}

/** The last value that stayed for {@link pauseMs}. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pauseMs);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
