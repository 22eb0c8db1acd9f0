/** The long commands take their sizes from the environment, and refuse one that is no size before they begin. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

it.each([
  ["aged", "AGED_TASKS", "abc"],
  ["aged", "AGED_TASKS", "0"],
  ["drain", "DRAIN_TASKS", "-5"],
  ["drain", "DRAIN_TASKS", "1e3"],
  ["chaos", "CHAOS_TASKS", "2.5"],
  ["chaos", "CHAOS_SEED", "NaN"],
  ["chaos", "FUZZ_RUNS", "many"],
  ["chaos", "OUTAGE_MINUTES", "0"],
  ["chaos", "UNSURE_TASKS", "99999999999999999999"],
  ["chaos", "DRAIN_TASKS", "x"],
  ["evidence", "CHAOS_TASKS", "abc"],
  ["evidence", "CHAOS_SEED", "0x10"],
])("%s refuses %s=%s in one sentence", (command, name, value) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`test/local-stack/${command}.ts`], {
    cwd: root,
    env: { ...process.env, [name]: value },
    encoding: "utf8",
    timeout: 20_000,
  });
  expect([status, stdout, stderr]).toEqual([
    1,
    "",
    `${name} must be a whole number from 1 on, not "${value}".\n`,
  ]);
});
