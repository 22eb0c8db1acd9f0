/** A process that dies at a call: before it leaves, or after it took effect and before its reply. */
import type { Around } from "./gateway.ts";

export class Died extends Error {}

export type Side = "before" | "after";

/** Counts calls; the process is dead from the given side of the given call on. */
export function mortal(dieAt = 0, side: Side = "before") {
  const process: { steps: string[]; dead: boolean } = { steps: [], dead: false };
  const die = (): never => {
    process.dead = true;
    throw new Died();
  };
  const around: Around = async (name, call) => {
    if (process.dead) throw new Died();
    const step = process.steps.push(name);
    if (step === dieAt && side === "before") die();
    const result = await call();
    // The process may have died at another call while this one was under way.
    if (process.dead || (step === dieAt && side === "after")) die();
    return result;
  };
  return { process, around };
}
