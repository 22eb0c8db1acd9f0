/** What came of it all, counted from what is stored and from what the upstream saw. */
import { env } from "cloudflare:workers";
import { PICTURE_NAMES } from "../simulator/picture-names.ts";
import { type ChaosWorld, startingBalance } from "./chaos-world.ts";

interface Row {
  id: string;
  tenant_id: string;
  state: string;
  open: number;
  price_credits: number;
  made: number;
  error_code: string | null;
  hidden: number;
  deadline_ms: number;
  finished_ms: number | null;
  upstream_links_expire_ms: number | null;
  submitted_ms: number | null;
  images: string;
  input: string;
}

export interface Report {
  accepted: number;
  byEnd: Record<string, number>;
  /** Accepted and not there, or without an end. */
  lost: number;
  /** Tasks that the upstream made twice. */
  doubled: number;
  /** Tenants whose charges are not the sum of their completed tasks. */
  wrongCharges: number;
  /** Tenants whose accounts do not add up, or who still hold something. */
  drift: number;
  orphanObjects: number;
  overdue: number;
  /** Ends that were not sent to their tenant's webhook, or sent otherwise, or under two ids. */
  unnotified: number;
  picturesStored: number;
  /** Of tasks whose links were as they should be. */
  picturesLost: number;
  /** From the upstream done to the pictures stored, of completed tasks: half of them, and the worst, in seconds. */
  storedAfter: { median: number; worst: number };
  /** Problems that reconciliation found. */
  discrepancies: unknown[];
}

/** Deadlines are seen to by cron, which may be away for a while. */
const slackMs = 10 * 60_000;

export async function readReport(world: ChaosWorld, cronAwayMs: number): Promise<Report> {
  const { results } = await env.DB.prepare("SELECT *, json_array_length(images) AS made FROM tasks").all<
    Record<string, unknown>
  >();
  const rows = results as unknown as Row[];
  const byId = new Map(rows.map((row) => [row.id, row]));
  const isEnd = (row: Row | undefined) => ["completed", "failed", "cancelled"].includes(row?.state ?? "");
  const byEnd: Record<string, number> = {};
  for (const { state, error_code } of rows) {
    const name = error_code ? `${state}: ${error_code}` : state;
    byEnd[name] = (byEnd[name] ?? 0) + 1;
  }
  const upstream = Map.groupBy(world.sound.simulator.control.tasks(), (task) => task.idempotencyKey);
  const late = rows.filter(
    (row) =>
      row.upstream_links_expire_ms === null &&
      (row.finished_ms ?? 0) > row.deadline_ms + slackMs + cronAwayMs,
  );
  return {
    accepted: world.accepted.size,
    byEnd,
    lost: [...world.accepted.keys()].filter((id) => !isEnd(byId.get(id))).length,
    doubled: [...upstream.values()].filter((tasks) => tasks.length > 1).length,
    ...(await checkMoney(world, rows)),
    orphanObjects: await countOrphans(rows),
    overdue: late.length,
    unnotified: countUnnotified(world, rows),
    ...countPictures(rows),
    storedAfter: storedAfter(rows, upstream),
    discrepancies: ((await (await world.sound.admin("GET", "/audit")).json()) as { data: unknown[] }).data,
  };
}

function countUnnotified({ received, accepted }: ChaosWorld, rows: Row[]): number {
  const byTask = Map.groupBy(received, ({ body }) => body.data?.id);
  return rows.filter(({ id, state, hidden }) => {
    const heard = new Set(
      byTask.get(id)?.map((one) => `${one.id} ${one.body.type} ${one.body.data?.status}`),
    );
    const expected = `msg-${id.slice("task-".length)}-w task.${state} ${state}`;
    // A refusal that the waiting caller got is not sent by webhook.
    if (hidden && !accepted.has(id)) return heard.size > 0;
    return heard.size !== 1 || !heard.has(expected);
  }).length;
}

/** A prompt that has a picture sent otherwise than whole and at once. */
const isSentBadly = new RegExp(`\\[sim:(${Object.keys(PICTURE_NAMES).join("|")})`);

function countPictures(rows: Row[]): Pick<Report, "picturesStored" | "picturesLost"> {
  const statesOf = (row: Row) => (JSON.parse(row.images) as { state: string }[]).map(({ state }) => state);
  const lost = rows.filter(({ input }) => !isSentBadly.test(input)).flatMap(statesOf);
  return {
    picturesStored: rows.flatMap(statesOf).filter((state) => state === "stored").length,
    picturesLost: lost.filter((state) => state === "lost").length,
  };
}

type UpstreamTasks = Map<string | null, { doneAt: number }[]>;

function storedAfter(rows: Row[], upstream: UpstreamTasks): Report["storedAfter"] {
  const seconds = rows
    .filter((row) => row.state === "completed")
    .map((row) => ((row.finished_ms ?? 0) - (upstream.get(row.id)?.[0]?.doneAt ?? 0)) / 1000)
    .toSorted((a, b) => a - b);
  return { median: seconds[Math.floor(seconds.length / 2)] ?? 0, worst: seconds.at(-1) ?? 0 };
}

async function checkMoney({ sound, tenants }: ChaosWorld, rows: Row[]) {
  let wrongCharges = 0;
  let drift = 0;
  for (const [index, { id }] of tenants.entries()) {
    const completed = rows.filter((row) => row.tenant_id === id && row.state === "completed");
    const charged = completed.reduce((sum, row) => sum + row.made * row.price_credits, 0);
    const account = await sound.invocation().tenant(id).summary(id, sound.now());
    const start = index % 2 ? startingBalance : 0;
    if (account?.balance !== start - charged) wrongCharges++;
    if (account?.held !== 0 || account.available !== start - charged) drift++;
  }
  return { wrongCharges, drift };
}

async function countOrphans(rows: Row[]): Promise<number> {
  const known = new Set(
    rows.flatMap(({ images }) => (JSON.parse(images) as { id: string }[]).map(({ id }) => `images/${id}`)),
  );
  let orphans = 0;
  let cursor: string | undefined;
  do {
    const page = await env.IMAGES.list(cursor === undefined ? {} : { cursor });
    const isNote = (key: string) => key.startsWith("restore-notes/");
    orphans += page.objects.filter(({ key }) => !known.has(key) && !isNote(key)).length;
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return orphans;
}

const byName = ([a]: [string, number], [b]: [string, number]) => a.localeCompare(b);

/** The table that is printed. */
export function tableOf(seed: number, world: ChaosWorld, report: Report): string {
  const lines: [string, string | number][] = [
    ["seed", seed],
    ["binding calls that failed", world.faults()],
    ...[...world.replies]
      .toSorted(byName)
      .map(([what, count]): [string, number] => [`replies: ${what}`, count]),
    ["accepted", report.accepted],
    ...Object.entries(report.byEnd)
      .toSorted(byName)
      .map(([what, count]): [string, number] => [`ended: ${what}`, count]),
    ["lost", report.lost],
    ["double upstream tasks", report.doubled],
    ["ends that a webhook did not get", report.unnotified],
    ["attempts of webhooks", world.received.length],
    ["tenants with wrong charges", report.wrongCharges],
    ["tenants whose accounts drift", report.drift],
    ["stored objects without a task", report.orphanObjects],
    ["tasks past their deadline", report.overdue],
    ["through these faults: upstream done to stored, median", `${report.storedAfter.median} s`],
    [
      "through these faults: upstream done to stored, worst",
      `${report.storedAfter.worst} s (cron was away for an hour)`,
    ],
  ];
  const width = Math.max(...lines.map(([what]) => what.length));
  return lines.map(([what, value]) => `  ${what.padEnd(width)}  ${value}`).join("\n");
}
