/**
 * `npm run chaos`: the chaos test in its long form. `CHAOS_TASKS=… CHAOS_SEED=… npm run chaos` for another size, or
 * to see a seed again.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { wholeNumber } from "./whole-number.ts";

const sizes = {
  CHAOS_TASKS: 2_000,
  CHAOS_SEED: randomInt(1, 2 ** 31),
  FUZZ_RUNS: 4_000,
  OUTAGE_MINUTES: 10,
  UNSURE_TASKS: 2_000,
  DRAIN_TASKS: 200,
};
const given = Object.fromEntries(
  Object.entries(sizes).map(([name, size]) => [name, String(wholeNumber(name, size))]),
);
console.log(`Chaos with ${given.CHAOS_TASKS} tasks over 20 tenants, seed ${given.CHAOS_SEED}`);
console.log('Errors with "D1 is out" or "the platform failed" are wanted: they are the faults that it draws');
// Its lines are the show: as they are, without where each comes from.
const shown = ["--project", "workerd", "--disable-console-intercept=true", "test/chaos", "unsure"];
const { status } = spawnSync("vitest", ["run", "--config", "test/vitest.config.ts", ...shown], {
  stdio: "inherit",
  env: { ...process.env, ...given },
  shell: process.platform === "win32",
});
process.exit(status ?? 1);
