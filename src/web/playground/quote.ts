/** What the form would cost, asked for when the typing pauses. */
import { useQuery } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { quote } from "#gateway";
import type { Body } from "./draft.ts";
import { useSession } from "./session.ts";

const pauseMs = 400;

/** Undefined while there is nothing to say: not asked yet, or not right yet, which only a submission is told. */
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

/** A value that has not changed for a moment. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pauseMs);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
