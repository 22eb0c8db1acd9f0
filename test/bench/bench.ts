/**
 * `npm run bench`: what the gateway costs its callers in time, beside what bare Workers take in the same process. Times
 * are ratios, so that they hold on any machine; what depends on none decides whether the bench succeeds.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Presets, SingleBar } from "cli-progress";
import { type Bill, billOf } from "./bill.ts";
import { type Budget, budgetsOf } from "./budgets.ts";
import { cases } from "./cases.ts";
import { type Compared, compare } from "./compare.ts";
import { measureDistances, type Outage } from "./distance.ts";
import { type Life, measureLife, startCountedStage } from "./life.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { billTable, budgetTable, comparedTable, outageTable, roundTable, showCount } from "./report.ts";
import { addFinished, measureRound, type Round } from "./round.ts";
import { root, type Stage, startStage } from "./stage.ts";
import { measureStartup } from "./startup.ts";

/** A whole number from the environment. @throws when it is none, or less than `least`. */
function setting(name: string, usual: number, least: number): number {
  const value = Number(process.env[name] ?? usual);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`${name}: must be a whole number from ${least} up`);
}

const effort = { rounds: setting("BENCH_ROUNDS", 3, 1), seconds: setting("BENCH_SECONDS", 3, 1) };
const finishedTasks = setting("BENCH_FINISHED", 1_000_000, 1);
/** Only the cases whose names hold this, for a quick run. */
const only = process.env.BENCH_ONLY ?? "";
/** How long D1 is out under load. */
const outageSeconds = setting("BENCH_OUTAGE", 60, 1);
const rowsPerDue = 3;
const mostGzipBytes = 150_000;

async function compareAll(prepared: Prepared): Promise<Compared[]> {
  const all = cases(prepared);
  const wanted = all.filter(({ name }) => name.includes(only));
  if (wanted.length === 0)
    throw new Error(`BENCH_ONLY: must be part of one of ${all.map(({ name }) => `"${name}"`).join(", ")}`);
  const bar = new SingleBar({ format: "  {bar} {value}/{total} {name}" }, Presets.shades_classic);
  const runs = wanted.map(({ references }) => (references.length + 1) * (effort.rounds + 1));
  bar.start(
    runs.reduce((sum, count) => sum + count, 0),
    0,
    { name: "" },
  );
  const compared: Compared[] = [];
  for (const one of wanted) {
    compared.push(...(await compare(one, prepared, effort, () => bar.increment({ name: one.name }))));
  }
  bar.stop();
  return compared;
}

async function measureRounds(stage: Stage, prepared: Prepared): Promise<Round[]> {
  const due = 1_000;
  const small = await measureRound(stage, prepared, due, 0);
  const bar = new SingleBar({ format: "  {bar} {value}/{total} finished tasks" }, Presets.shades_classic);
  bar.start(finishedTasks, 0);
  await addFinished(stage, prepared, finishedTasks, (done) => bar.update(done));
  bar.stop();
  return [small, await measureRound(stage, prepared, due, finishedTasks)];
}

/** Everything that takes time, against bare Workers on one stage. */
async function measureTimes(folder: string): Promise<{ compared: Compared[]; rounds: Round[] }> {
  console.log("· starting the gateway beside bare Workers");
  const stage = await startStage(folder, readFileSync(join(root, ".wrangler", "build", "index.js"), "utf8"));
  console.log("· making tenants, keys and pictures");
  const prepared = await prepare(stage, effort.rounds + 1);
  console.log("· measuring in turns");
  const compared = await compareAll(prepared);
  console.log(comparedTable(compared));
  console.log("· rounds of cron over 1,000 due tasks");
  const rounds = await measureRounds(stage, prepared);
  await stage.miniflare.dispose();
  return { compared, rounds };
}

/** What is the same on every machine: hops, calls, rows and what they cost. */
async function countLife(folder: string): Promise<{ life: Life; bill: Bill; budgets: Budget[] }> {
  console.log("· counting hops, calls and rows of a task's life");
  const stage = await startCountedStage(folder);
  const life = await measureLife(stage);
  await stage.miniflare.dispose();
  const bill = billOf(life);
  return { life, bill, budgets: budgetsOf(life, bill) };
}

function roundBudget({ finished, due, rowsRead }: Round): Budget {
  const what = `a round among ${showCount(finished)} finished tasks: D1 rows read for each due`;
  return { what, measured: rowsRead / due, most: rowsPerDue };
}

const outageBudgets = ({ errors, lost }: Outage): Budget[] => [
  { what: "submissions while D1 is out: errors", measured: errors, most: 0 },
  { what: "submissions while D1 is out: tasks lost", measured: lost, most: 0 },
];

const folder = join(root, ".wrangler", "bench");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const { compared, rounds } = await measureTimes(join(folder, "times"));
console.log("· far from D1 and from tenants' objects, and with D1 out");
const { far, outage } = await measureDistances(join(folder, "far"), effort, outageSeconds);
console.log(`${comparedTable(far)}\n\n${outageTable(outage)}`);
const { life, bill, budgets: counted } = await countLife(join(folder, "counts"));
console.log("· starting Workers");
const startup = await measureStartup();
rmSync(folder, { recursive: true, force: true });

const size = { what: "bundle, gzip: bytes", measured: startup.gzipBytes, most: mostGzipBytes };
const budgets = [...counted, ...rounds.map(roundBudget), ...outageBudgets(outage), size];
console.log(`\n${roundTable(rounds)}\n\n${budgetTable(budgets)}\n\n${billTable(bill)}`);
console.log(
  `\nA start takes ${Math.round(startup.startMs)} ms longer than that of an empty Worker (${Math.round(startup.emptyMs)} ms).`,
);
writeFileSync(
  join(root, "bench.json"),
  `${JSON.stringify({ compared, far, outage, rounds, budgets, bill, startup, life }, null, 2)}\n`,
);
const broken = budgets.filter(({ measured, most }) => !(measured <= most));
if (broken.length > 0) {
  console.error(`\nOver budget: ${broken.map(({ what }) => what).join("; ")}.`);
  process.exitCode = 1;
}
