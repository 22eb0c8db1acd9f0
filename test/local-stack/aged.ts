/**
 * `npm run aged`: what calls cost a gateway with a year of tasks behind it, beside a young one. `AGED_TASKS=… npm run aged` for
 * another number than a million, which takes some five minutes.
 */
import { spawnSync } from "node:child_process";
import { wholeNumber } from "./whole-number.ts";

const AGED_TASKS = String(wholeNumber("AGED_TASKS", 1_000_000));
console.log(`A year of ${AGED_TASKS} tasks of one tenant, and a tenth as many of 1,000 others`);
// Its lines are the show: as they are, without where each comes from.
const shown = ["--project", "workerd", "--disable-console-intercept=true", "test/chaos/aged.test.ts"];
const { status } = spawnSync("vitest", ["run", "--config", "test/vitest.config.ts", ...shown], {
  stdio: "inherit",
  env: { ...process.env, AGED_TASKS },
  shell: process.platform === "win32",
});
process.exit(status ?? 1);
