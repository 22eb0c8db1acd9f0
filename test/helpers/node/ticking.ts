/** Cron beside a client that waits: the built Worker's own clock is the real one, and nothing else calls its cron. */
import { setTimeout as pause } from "node:timers/promises";
import type { BuiltGateway } from "./built-gateway.ts";

/** Runs tick after tick until `work` is done. */
export async function whileTicking<T>(gateway: BuiltGateway, work: Promise<T>): Promise<T> {
  let goesOn = true;
  const ticks = (async () => {
    while (goesOn) {
      await gateway.tick();
      await pause(20);
    }
  })();
  try {
    return await work;
  } finally {
    goesOn = false;
    await ticks;
  }
}
