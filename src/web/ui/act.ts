/**
 * Whatever is changed by a click is changed by it once. A button that is switched off while a call is under way is so
 * only from the next drawing on, and a double click is faster.
 */
import { type UseMutationOptions, useMutation } from "@tanstack/preact-query";
import { useLayoutEffect, useState } from "preact/hooks";

/** Lets one through at a time, and knows so at once. */
function makeGate() {
  let isFree = true;
  return {
    /** Whether one may go through; if so, nobody else may until `open`. */
    enter(): boolean {
      const mayEnter = isFree;
      isFree = false;
      return mayEnter;
    },
    open(): void {
      isFree = true;
    },
  };
}

export function useGate() {
  const [gate] = useState(makeGate);
  return gate;
}

/** A change that the gateway is asked for; while one is under way, asking again does nothing. */
export function useAct<Answer, Given = void>(options: UseMutationOptions<Answer, Error, Given>) {
  const act = useMutation(options);
  const gate = useGate();
  const { isPending, submittedAt } = act;
  // Once its end is on the screen and not before: until then the form that has sent it can still be sent. The time is
  // that of a call which ended before anything was drawn of it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: submittedAt tells one call from the next.
  useLayoutEffect(() => {
    if (!isPending) gate.open();
  }, [isPending, submittedAt]);
  const mutate = (given: Given) => {
    if (gate.enter()) act.mutate(given);
  };
  return { ...act, mutate };
}
