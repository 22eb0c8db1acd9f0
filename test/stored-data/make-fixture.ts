/**
 * Makes a fixture of stored data: `npm run fixture -- 0002-what-changed`. The built Worker is driven over HTTP and by ticks
 * until D1, the tenants' objects and the bucket hold something of everything; then all of it is written down. Where a state
 * lasts for a moment only, SQL puts it there, in the form in which the gateway writes it.
 *
 * It takes some three minutes: the built Worker has the real clock, and the object's alarm comes each minute.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Fixture, Tables } from "./fixture.ts";
import { dumpBucket, dumpDatabase, dumpObjects } from "./making/dump.ts";
import { ageFiles, holdUpload, uploadFiles } from "./making/files.ts";
import { dropTenants, eraseSome, leaveHalfDone, loseRow, sendSome } from "./making/moments.ts";
import { readCursors, readDeliveries, readLinks, readShown } from "./making/shown.ts";
import { type Stand, startStand } from "./making/stand.ts";
import { beginStory, type Story, seconds } from "./making/story.ts";
import { endByHand, runTasks, script } from "./making/tasks.ts";
import { giveCredits, makeKeys, makeTenants, manageOwn, mintTokens } from "./making/tenants.ts";
import { giveUpOne, sendOne } from "./making/webhooks.ts";

async function main(): Promise<void> {
  const [version = "0001-first"] = process.argv.slice(2);
  const folder = fileURLToPath(new URL(`${version}/`, import.meta.url));
  if (existsSync(folder) && !process.argv.includes("--again"))
    throw new Error(
      `${version} is there: stored data is never made anew, a change of it has a fixture of its own`,
    );
  const stand = await startStand();
  try {
    write(folder, await readAll(stand));
  } catch (error) {
    console.error(stand.logs().slice(-20).join("\n"));
    throw error;
  } finally {
    await stand.close();
  }
}

async function readAll(stand: Stand): Promise<Omit<Fixture, "version">> {
  const story = beginStory(stand);
  script(story);
  await step("tenants and keys", async () => {
    await makeTenants(story);
    await giveCredits(story);
    await makeKeys(story);
    await manageOwn(story);
    await mintTokens(story);
  });
  await step("tasks and files", async () => {
    await loseRow(story, "written again", "metered");
    await uploadFiles(story);
    await runTasks(story);
    await endByHand(story);
  });
  await step("retries of webhooks", async () => {
    for (let round = 0; round < 3; round++) {
      await seconds(6);
      await stand.tick();
    }
    await giveUpOne(story);
  });
  await step("the alarm", () =>
    story.until(`SELECT id FROM tasks WHERE id = '${story.task("written again")}'`, 180),
  );
  return await step("moments", () => standStill(story));
}

/** The last moments: nothing may go on with them before they are written down. */
async function standStill(story: Story): Promise<Omit<Fixture, "version">> {
  const { stand, made } = story;
  await dropTenants(story);
  await eraseSome(story);
  await sendSome(story);
  await loseRow(story, "without a row", "quiet");
  made.inOutbox.push(story.task("without a row"));
  const endUpload = await holdUpload(story);
  await leaveHalfDone(story);
  const shown = await readShown(story);
  await readCursors(story);
  await ageFiles(story);
  await readLinks(story);
  await sendOne(story);
  shown.deliveries = await readDeliveries(story);
  made.nowMs = Date.now();
  const dumped = {
    made,
    shown,
    d1: await dumpDatabase(stand),
    objects: await dumpObjects(stand),
    bucket: await dumpBucket(stand),
  };
  endUpload();
  return dumped;
}

async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const startMs = Date.now();
  const result = await work();
  console.log(`${name}: ${((Date.now() - startMs) / 1000).toFixed(1)} s`);
  return result;
}

/** Small, and readable: a row a line. */
function write(folder: string, { made, shown, d1, objects, bucket }: Omit<Fixture, "version">): void {
  mkdirSync(folder, { recursive: true });
  const files = {
    "made.json": record(made),
    "shown.json": record(shown),
    "d1.json": `{\n"migration": ${JSON.stringify(d1.migration)},\n"tables": ${tablesText(d1.tables)}\n}\n`,
    "objects.json": `[\n${objects.map(objectText).join(",\n")}\n]\n`,
    "bucket.json": `${list(bucket)}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(`${folder}${name}`, text);
    console.log(`${name}: ${(text.length / 1024).toFixed(1)} KB`);
  }
}

const objectText = ({ tenant, schema, tables }: Fixture["objects"][number]) =>
  `{\n"tenant": ${JSON.stringify(tenant)},\n"schema": ${list(schema)},\n"tables": ${tablesText(tables)}\n}`;

const tablesText = (tables: Tables) =>
  `{\n${Object.entries(tables)
    .map(([name, { columns, rows }]) => {
      return `${JSON.stringify(name)}: {"columns": ${JSON.stringify(columns)}, "rows": ${list(rows)}}`;
    })
    .join(",\n")}\n}`;

/** An object, a field a line, and the elements of its lists a line each. */
const record = (fields: object) =>
  `{\n${Object.entries(fields)
    .map(
      ([name, value]) =>
        `${JSON.stringify(name)}: ${Array.isArray(value) ? list(value) : JSON.stringify(value)}`,
    )
    .join(",\n")}\n}\n`;

function list(items: readonly unknown[]): string {
  return items.length === 0 ? "[]" : `[\n${items.map((item) => JSON.stringify(item)).join(",\n")}\n]`;
}

await main();
