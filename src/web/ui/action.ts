/**
 * A click makes a change once. A button that is switched off while a call is under way is off only from the next
 * drawing on, and a double click is faster than that.
 */
import { type UseMutationOptions, useMutation } from "@tanstack/preact-query";
import { useLayoutEffect, useState } from "preact/hooks";

/** Lets one call through at a time. It closes at once, not at the next drawing. */
function makeGate() {
  let isFree = true;
  return {
    /** True for the call that goes through; false for every other until `open`. */
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

/** A change that the gateway is asked to make. A call of `mutate` while one is under way does nothing. */
export function useAction<Answer, Given = void>(options: UseMutationOptions<Answer, Error, Given>) {
  const mutation = useMutation(options);
  const gate = useGate();
  const { isPending, submittedAt } = mutation;
  // The gate opens once the end of the call is on the screen: until then the form that made it can still be sent. The
  // time is a dependency for a call that ends before its start is drawn.
  // biome-ignore lint/correctness/useExhaustiveDependencies: submittedAt distinguishes one call from the next.
  useLayoutEffect(() => {
    if (!isPending) gate.open();
  }, [isPending, submittedAt]);
  const mutate = (given: Given) => {
    if (gate.enter()) mutation.mutate(given);
  };
  return { ...mutation, mutate };
}
