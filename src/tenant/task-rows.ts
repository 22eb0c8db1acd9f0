/**
 * The rows of tasks as D1 is to have them: what an admission keeps of its task until then, its codec, and the writing of
 * many of them in a few statements.
 */
import { insertTasks, type Written, writtenTasks } from "../d1/tasks/new-tasks.ts";
import { taskInput } from "../d1/tasks/task-row.ts";
import { insertBalanceLow, insertEnds } from "../d1/webhooks/deliveries.ts";
import { type TaskFailureCode, taskFailures } from "../domain/failures.ts";
import type { Model } from "../domain/model-catalog.ts";
import { type FirstOutcome, type NewTask, recordOf } from "../domain/new-task.ts";
import {
  type Decode,
  json,
  mapOf,
  oneOf,
  orNull,
  record,
  text,
  whole,
  withDefaults,
  word,
  yesOrNo,
} from "../domain/stored.ts";
import type { Task } from "../domain/task.ts";

/** A `balance.low` event that goes into D1 with the task which made the balance low. */
type Low = Parameters<typeof insertBalanceLow>[1] & { atMs: number };

/** A task on its way to D1. */
export interface TaskRow {
  task: NewTask;
  low: Low | null;
  /** Null: none is known yet. */
  outcome: FirstOutcome | null;
}

const newTask = record<NewTask>(
  withDefaults<NewTask>(
    { tokenId: null },
    {
      id: text,
      tenantId: text,
      keyId: text,
      tokenId: orNull(text),
      requestId: text,
      origin: text,
      model: word<Model>(),
      input: taskInput,
      metadata: mapOf(text),
      endUser: orNull(text),
      priceCredits: whole,
      holdNumber: orNull(whole),
      createdMs: whole,
      deadlineMs: whole,
      dueMs: whole,
    },
  ),
);

const low = record<Low>({
  id: text,
  tenantId: text,
  taskId: text,
  data: mapOf((value) => value),
  atMs: whole,
});

type OutcomeOf<Kind extends FirstOutcome["kind"]> = Extract<FirstOutcome, { kind: Kind }>;
const kind = <Kind extends FirstOutcome["kind"]>(one: Kind) => oneOf([one]);
const outcomes = {
  submitted: record<OutcomeOf<"submitted">>({
    kind: kind("submitted"),
    upstreamId: text,
    submittedMs: whole,
    estimatedSeconds: orNull(whole),
  }),
  busy: record<OutcomeOf<"busy">>({ kind: kind("busy"), dueMs: whole }),
  unknown: record<OutcomeOf<"unknown">>({ kind: kind("unknown"), dueMs: whole }),
  refused: record<OutcomeOf<"refused">>({
    kind: kind("refused"),
    errorCode: oneOf(Object.keys(taskFailures) as TaskFailureCode[]),
    finishedMs: whole,
    hidden: yesOrNo,
  }),
} satisfies Record<FirstOutcome["kind"], Decode<FirstOutcome>>;
const outcomeKind = record({ kind: oneOf(Object.keys(outcomes) as FirstOutcome["kind"][]) });
const outcome: Decode<FirstOutcome> = (value) => outcomes[outcomeKind(value).kind](value);

/** What a row keeps of its task: without the outcome, which comes later. */
export const keptTask = json(record<Omit<TaskRow, "outcome">>({ task: newTask, low: orNull(low) }));
export const keptOutcome = json(outcome);
export const keptRow = json(record<TaskRow>({ task: newTask, low: orNull(low), outcome: orNull(outcome) }));

export const shownTask = ({ task, outcome }: TaskRow): Task => recordOf(task, outcome);

/**
 * Writes rows in one transaction.
 * @returns each row afterwards, in order; undefined for one that was as it should be, or further.
 * @throws when D1 is unavailable.
 */
export async function writeRows(db: D1Database, rows: TaskRow[]): Promise<(Written | undefined)[]> {
  // Their tenants see them: a replay has shown them.
  const failed = rows.flatMap(({ task, outcome }) =>
    outcome?.kind === "refused" && !outcome.hidden ? [task.id] : [],
  );
  const results = await db.batch([
    ...partsOf(rows.map(shownTask)).map((tasks) => insertTasks(db, tasks)),
    ...(failed.length > 0 ? [insertEnds(db, failed, null)] : []),
    ...rows.flatMap(({ low }) => (low ? [insertBalanceLow(db, low, low.atMs)] : [])),
  ]);
  const written = new Map(results.flatMap(rowsOf).map((row) => [row.id, row]));
  return rows.map(({ task }) => written.get(task.id));
}

const rowsOf = (result: D1Result) => (result.results.length > 0 ? writtenTasks(result) : []);

/** Of text in one statement: D1 takes 2 MB, and a character has up to three bytes. */
const mostCharacters = 600_000;

/** All of them at once, or in as many parts as large requests need. */
function partsOf(tasks: Task[]): Task[][] {
  const parts: Task[][] = [];
  let room = 0;
  for (const task of tasks) {
    const characters = JSON.stringify(task).length;
    if (characters > room) {
      parts.push([]);
      room = mostCharacters;
    }
    parts.at(-1)?.push(task);
    room -= characters;
  }
  return parts;
}
