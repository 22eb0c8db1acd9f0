/**
 * `npm run bench`: what the gateway costs its callers in time, beside what bare Workers take in the same process. Times
 * are ratios, so that they hold on any machine; what depends on none decides whether the bench succeeds.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Presets, SingleBar } from "cli-progress";
import { cases } from "./cases.ts";
import { type Compared, compare } from "./compare.ts";
import { type Ground, prepare } from "./ground.ts";
import { comparedTable, roundTable } from "./report.ts";
import { addFinished, measureRound, type Round } from "./round.ts";
import { root, type Stage, startStage } from "./stage.ts";

const effort = {
  rounds: Number(process.env.BENCH_ROUNDS ?? 5),
  seconds: Number(process.env.BENCH_SECONDS ?? 3),
};
/** Only the cases whose names hold this, for who looks for something. */
const only = process.env.BENCH_ONLY ?? "";
const rowsPerDue = 3;

async function compareAll(ground: Ground): Promise<Compared[]> {
  const wanted = cases(ground).filter(({ name }) => name.includes(only));
  const bar = new SingleBar({ format: "  {bar} {value}/{total} {name}" }, Presets.shades_classic);
  const runs = wanted.map(({ references }) => (references.length + 1) * (effort.rounds + 1));
  bar.start(
    runs.reduce((sum, count) => sum + count, 0),
    0,
    { name: "" },
  );
  const compared: Compared[] = [];
  for (const one of wanted) {
    compared.push(...(await compare(one, ground, effort, () => bar.increment({ name: one.name }))));
  }
  bar.stop();
  return compared;
}

async function measureRounds(stage: Stage, ground: Ground): Promise<Round[]> {
  const due = 1_000;
  const many = Number(process.env.BENCH_FINISHED ?? 1_000_000);
  const small = await measureRound(stage, ground, due, 0);
  const bar = new SingleBar({ format: "  {bar} {value}/{total} finished tasks" }, Presets.shades_classic);
  bar.start(many, 0);
  await addFinished(stage, ground, many, (done) => bar.update(done));
  bar.stop();
  return [small, await measureRound(stage, ground, due, many)];
}

const folder = join(root, ".wrangler", "bench");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
console.log("· starting the gateway beside bare Workers");
const stage = await startStage(folder, readFileSync(join(root, ".wrangler", "build", "index.js"), "utf8"));
console.log("· making tenants, keys and pictures");
const ground = await prepare(stage, effort.rounds + 1);
console.log("· measuring in turns");
const compared = await compareAll(ground);
console.log("· rounds of cron over 1,000 due tasks");
const rounds = await measureRounds(stage, ground);
await stage.miniflare.dispose();
rmSync(folder, { recursive: true, force: true });

console.log(`\n${comparedTable(compared)}\n\n${roundTable(rounds, rowsPerDue)}`);
writeFileSync(join(root, "bench.json"), `${JSON.stringify({ compared, rounds }, null, 2)}\n`);
const broken = rounds
  .filter(({ rowsRead, due }) => rowsRead > rowsPerDue * due)
  .map(({ finished }) => `a round among ${finished} tasks`);
if (broken.length > 0) {
  console.error(`\nOver budget: ${broken.join(", ")}.`);
  process.exitCode = 1;
}
