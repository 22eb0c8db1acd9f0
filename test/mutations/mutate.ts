/**
 * Breaks one line of the source at a time and expects a test to go red: `npm run mutations`, or with a part of a
 * mutation's name for some of them. A line that no test misses is a promise that nothing holds.
 */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Mutation, mutations } from "./mutations.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv[2] ?? "";
const chosen = mutations.filter(({ breaks, file }) => `${breaks} ${file}`.includes(wanted));

const restores: (() => void)[] = [];
const restore = () => {
  for (const undo of restores.splice(0)) undo();
};
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    restore();
    process.exit(1);
  });
}

const survivors: Mutation[] = [];
for (const [index, mutation] of chosen.entries()) {
  const isRed = await goesRed(mutation);
  if (!isRed) survivors.push(mutation);
  const place = String(index + 1).padStart(String(chosen.length).length);
  console.log(
    `${place}/${chosen.length}  ${isRed ? "red " : "GREEN"}  ${mutation.breaks}  (${mutation.file})`,
  );
}
console.log(
  survivors.length === 0
    ? `Each of ${chosen.length} broken lines makes a test red.`
    : `${survivors.length} of ${chosen.length} broken lines are missed by ${survivors.map(({ tests }) => tests.join(" ")).join("; ")}.`,
);
process.exitCode = survivors.length === 0 && chosen.length > 0 ? 0 : 1;

/** Whether the tests that guard a line fail once it is broken. */
async function goesRed({ file, line, broken, tests, project = "workerd" }: Mutation): Promise<boolean> {
  const path = join(root, file);
  const before = readFileSync(path, "utf8");
  if (before.split(line).length !== 2) throw new Error(`${file} has not exactly one of: ${line}`);
  restores.push(() => writeFileSync(path, before));
  writeFileSync(
    path,
    before.replace(line, () => broken),
  );
  try {
    return (await run(["--project", project, "--bail=1", ...tests])) !== 0;
  } finally {
    restore();
  }
}

function run(args: string[]): Promise<number | null> {
  const child = spawn("vitest", ["run", "--config", "test/vitest.config.ts", ...args], {
    cwd: root,
    stdio: "ignore",
    shell: process.platform === "win32",
  });
  return new Promise((resolve) => child.on("exit", resolve));
}
