/** Rows of new tasks, as their tenants' objects write them: once or again, with their first sender's outcome or without. */
import { rowCodec } from "../../domain/stored.ts";
import { endStates, type Task } from "../../domain/task.ts";
import { isWhereAPartIs } from "../archive/task-parts.ts";
import { sqlWords } from "../sql-words.ts";
import { taskColumns } from "./task-row.ts";

/** What a statement that writes a task returns of it. */
export type Written = Pick<Task, "id" | "state" | "dueMs" | "attempts">;

const { id, state, dueMs, attempts } = taskColumns;
export const written = rowCodec<Written>("tasks", { id, state, dueMs, attempts });

/** What a row that is there already takes over from the record of a first sender's outcome. */
const outcome = [
  ...["state", "due_ms", "upstream_id", "submitted_ms", "refreshed_ms", "estimated_seconds"],
  ...["finished_ms", "error_code", "hidden", "open"],
];

/**
 * The statement that writes new tasks. A row that is there already is a second writing of the same task: it goes on to
 * the outcome that the record has, unless another sender has the task by now. That the upstream took the task holds
 * by any sender, and a refusal is recorded only once the object has made sure that no other one sends the task; that the
 * task is to wait is said by the holder of its first lease alone. A task that is archived by now is not written: its object was
 * restored to an earlier time. The result goes through {@link writtenTasks}. One
 * statement for all of them: most of what D1 does for a row of its own is the statement around it.
 * @param tasks At most 2 MB in all, which is what D1 takes as one value.
 */
export function insertTasks(db: D1Database, tasks: Task[]): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, token_id, request_id, origin, model, input, metadata, end_user, price_credits,
         created_ms, deadline_ms, attempts, hold_number, version, uncertain, ${outcome.join(", ")})
       SELECT value ->> 'id', value ->> 'tenantId', value ->> 'keyId', value ->> 'tokenId', value ->> 'requestId', value ->> 'origin',
         value ->> 'model', value -> 'input', value -> 'metadata', value ->> 'endUser', value ->> 'priceCredits',
         value ->> 'createdMs', value ->> 'deadlineMs', value ->> 'attempts', value ->> 'holdNumber',
         value ->> 'version', value ->> 'uncertain',
         value ->> 'state', value ->> 'dueMs', value ->> 'upstreamId', value ->> 'submittedMs', value ->> 'refreshedMs',
         value ->> 'estimatedSeconds', value ->> 'finishedMs', value ->> 'errorCode', value ->> 'hidden',
         value ->> 'state' NOT IN ${sqlWords(endStates)}
       FROM json_each(?1) WHERE NOT ${isWhereAPartIs("(value ->> 'tenantId')", "(value ->> 'id')")}
       ON CONFLICT (id) DO UPDATE SET version = version + 1, uncertain = uncertain OR excluded.uncertain,
         ${outcome.map((column) => `${column} = excluded.${column}`).join(", ")}
       WHERE tasks.state = 'submitting' AND (excluded.state IN ('submitted', 'failed')
         OR attempts = 1 AND NOT uncertain AND (excluded.state = 'queued' OR excluded.uncertain))
       RETURNING ${written.columns}`,
    )
    .bind(JSON.stringify(tasks));
}

/** The rows that a statement has written; those that it has not are not among them. */
export function writtenTasks(result: D1Result | undefined): Written[] {
  return (result?.results ?? []).map(written.read);
}
