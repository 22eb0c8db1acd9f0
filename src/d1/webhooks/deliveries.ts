/**
 * The outbox of webhooks: written in one transaction with what it reports, claimed before it is sent, and kept as the
 * delivery log. An endpoint is a tenant's webhook, or the origin of its tasks' callbacks.
 */
import { maxUrlCharacters } from "../../domain/address.ts";
import { readable, type SkipUnreadable } from "../../domain/stored.ts";
import type { Task } from "../../domain/task.ts";
import { deliveryLifeMs, eventOfEnd, originOffMs, type WebhookEvent } from "../../domain/webhooks.ts";
import { sqlCase } from "../sql-words.ts";
import { hasEnded, taskFromRow } from "../tasks/task-row.ts";
import {
  type ClaimedRow,
  callback,
  claimed,
  endSuffixes,
  notifyEndpoint,
  webhookEndpoint,
} from "./delivery-row.ts";

const ofWebhook = `kind.suffix = '${endSuffixes.webhook}'`;
const endEvent = sqlCase("task.state", eventOfEnd);
const lowEvent: WebhookEvent = "balance.low";
/** Of a URL whose host has at least two characters. */
const callbackOrigin = `substr(${callback}, 1, 8 + iif(instr(substr(${callback}, 9), '/') = 0, ${maxUrlCharacters}, instr(substr(${callback}, 9), '/') - 1))`;

const endpoint = `iif(${ofWebhook}, '${webhookEndpoint}', ${callbackOrigin})`;

/**
 * SQL: whether the row `gone` says that a URL or all of its endpoint was switched off. Of a callback of the row `task`: its URL
 * before the task was submitted anew with it, its whole origin for a day longer. Named so that the row is found by its key.
 */
const isOff = (url: string, endpoint: string, isOwn: string) => `gone.tenant_id = tenant.id
  AND gone.url IN (${url}, ${endpoint} || '/*')
  AND (${isOwn} OR gone.at_ms + iif(gone.reason = 'failing', ${originOffMs}, 0) >= task.created_ms)`;

/**
 * The statement that puts ends of tasks into the outbox: for the tenant's webhook and for the task's own callback, where
 * they are wanted. It goes into one transaction with what ended them. A delivery's id is made of its task's, so that a
 * second writer of the same end adds nothing.
 * @param endedMs When they ended; one that ended at another time is another writer's. Null: whenever it was.
 */
export function insertEnds(db: D1Database, taskIds: string[], endedMs: number | null): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, task_id, created_ms, due_ms)
       SELECT 'msg-' || substr(task.id, 6) || kind.suffix, task.tenant_id,
         ${endpoint}, ${endEvent}, task.id, task.finished_ms, task.finished_ms
       FROM tasks AS task JOIN tenants AS tenant ON tenant.id = task.tenant_id
         JOIN (SELECT '${endSuffixes.webhook}' AS suffix UNION ALL SELECT '${endSuffixes.callback}') AS kind
       WHERE task.id IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR task.finished_ms = ?2) AND task.hidden = 0
         AND ${hasEnded("task")}
         AND iif(${ofWebhook}, tenant.webhook_url IS NOT NULL AND ${wants(endEvent)}, ${callback} IS NOT NULL)
         AND NOT EXISTS (SELECT 1 FROM gone_urls AS gone WHERE ${isOff(
           `iif(${ofWebhook}, tenant.webhook_url, ${callback})`,
           endpoint,
           ofWebhook,
         )})
       ON CONFLICT (id) DO NOTHING`,
    )
    .bind(JSON.stringify(taskIds), endedMs);
}

/**
 * Guarded like {@link callback}. Events that are no JSON may name this one: it goes into the outbox, where its sender
 * leaves it out until it can read them.
 */
const wants = (event: string) => `iif(json_valid(tenant.webhook_events),
  EXISTS (SELECT 1 FROM json_each(tenant.webhook_events) WHERE value = ${event}), 1)`;

/**
 * The statement that notifies a tenant that its balance is low, in one transaction with the task that made it so: no
 * task, no event.
 */
export function insertBalanceLow(
  db: D1Database,
  low: { id: string; tenantId: string; taskId: string; data: object },
  nowMs: number,
): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, data, created_ms, due_ms)
       SELECT ?1, tenant.id, '${webhookEndpoint}', '${lowEvent}', ?4, ?5, ?5 FROM tenants AS tenant
       WHERE tenant.id = ?2 AND tenant.webhook_url IS NOT NULL AND ${wants(`'${lowEvent}'`)}
         AND EXISTS (SELECT 1 FROM tasks WHERE id = ?3)
         AND NOT EXISTS (SELECT 1 FROM gone_urls
           WHERE tenant_id = ?2 AND url IN (tenant.webhook_url, '${webhookEndpoint}/*'))
       ON CONFLICT (id) DO NOTHING`,
    )
    .bind(low.id, low.tenantId, low.taskId, JSON.stringify(low.data), nowMs);
}

/** At most so many deliveries of one tenant are under way at a time, over all senders. */
const perTenant = 2;

/** A delivery that is being attempted, with all that it takes. `attempts` includes this one. */
export interface Sending
  extends Omit<
    ClaimedRow,
    "webhookUrl" | "notifyUrl" | "retriedMs" | "events" | "secret" | "secretsBefore" | "isGone"
  > {
  /** Null: the receiver is switched off or removed, or its task is erased; and of a callback whose task D1 lacks. */
  url: string | null;
  /** The end of its life: it is attempted no more from then on. */
  endsMs: number;
  secrets: string[];
  /** Null for an event of no task. */
  task: Task | null;
  /** It is wanted, and D1 has its task no more: the archive may. */
  lacksTask: boolean;
}

export interface ClaimOfDeliveries {
  nowMs: number;
  leaseUntilMs: number;
  limit: number;
  /** So many of them may be for endpoints that failed last time. */
  failing: number;
}

/**
 * The tenants with work at endpoints that work, or fail: as many as may be taken, beside those that are under way. Of each
 * its first two endpoints are enough: one of them that is under way counts as one of the tenant's two.
 */
const tenantsDue = (failing: 0 | 1, most: string) =>
  `SELECT * FROM (SELECT tenant_id, failing FROM tenant_turns INDEXED BY tenant_turns_due
     WHERE failing = ${failing} AND due_ms <= ?1 ORDER BY due_ms LIMIT ${most} + (SELECT count(*) FROM flying))`;

/**
 * Claims what is due: of each tenant two at a time, of each endpoint the longest due first, and nothing of an endpoint
 * in back-off. (`CROSS JOIN` keeps SQLite from starting at what waits.) One that was `sending` had a sender that
 * recorded no outcome.
 */
export async function claimDeliveries(
  db: D1Database,
  claim: ClaimOfDeliveries,
  skip?: SkipUnreadable,
): Promise<Sending[]> {
  const { results } = await db
    .prepare(
      `UPDATE deliveries SET state = 'sending', attempts = attempts + 1, due_ms = ?2
       WHERE id IN (
         WITH flying (tenant_id, under_way) AS MATERIALIZED (
           SELECT tenant_id, count(*) FROM deliveries INDEXED BY deliveries_sending
           WHERE state = 'sending' AND due_ms > ?1 GROUP BY tenant_id),
         tenants_due (tenant_id, failing) AS MATERIALIZED (${tenantsDue(0, "?3")} UNION ALL ${tenantsDue(1, "?4")}),
         ends (tenant_id, endpoint, failing) AS (
           SELECT turn.tenant_id, turn.endpoint, turn.failing FROM tenants_due CROSS JOIN endpoint_turns AS turn
             ON turn.tenant_id = tenants_due.tenant_id AND turn.endpoint IN (
               SELECT endpoint FROM endpoint_turns INDEXED BY endpoint_turns_due
               WHERE tenant_id = tenants_due.tenant_id AND failing = tenants_due.failing AND due_ms <= ?1
               ORDER BY due_ms LIMIT ${perTenant})),
         due (id, tenant_id, due_ms, fails) AS (
           SELECT one.id, one.tenant_id, one.due_ms, ends.failing
           FROM ends CROSS JOIN deliveries AS one ON one.id IN (
             SELECT id FROM deliveries INDEXED BY deliveries_open WHERE open = 1 AND tenant_id = ends.tenant_id
               AND endpoint = ends.endpoint AND due_ms <= ?1 ORDER BY due_ms LIMIT ${perTenant})),
         turns AS (
           SELECT id, due_ms, fails, coalesce(under_way, 0) + row_number() OVER (
             PARTITION BY due.tenant_id ORDER BY fails, due_ms, id) AS turn
           FROM due LEFT JOIN flying ON flying.tenant_id = due.tenant_id)
         SELECT id FROM (
           SELECT *, row_number() OVER (PARTITION BY fails ORDER BY turn, due_ms, id) AS place
           FROM turns WHERE turn <= ${perTenant})
         WHERE place <= iif(fails, ?4, ?3) ORDER BY fails, turn, due_ms, id LIMIT ?3)
       RETURNING id`,
    )
    .bind(claim.nowMs, claim.leaseUntilMs, claim.limit, claim.failing)
    .all<{ id: string }>();
  const ids = results.map(({ id }) => id);
  return ids.length === 0 ? [] : readSending(db, ids, claim.nowMs, skip);
}

async function readSending(
  db: D1Database,
  ids: string[],
  nowMs: number,
  skip: SkipUnreadable | undefined,
): Promise<Sending[]> {
  const isWebhook = `one.endpoint = '${webhookEndpoint}'`;
  const [deliveries, tasks] = await db.batch<Record<string, unknown>>([
    db
      .prepare(
        `SELECT one.*, tenant.webhook_url, tenant.webhook_notify_url, tenant.webhook_secret, tenant.webhook_secrets_before,
           iif(${isWebhook}, tenant.webhook_events, NULL) AS webhook_events,
           tenant.deleted_ms IS NOT NULL OR EXISTS (
             SELECT 1 FROM gone_urls AS gone WHERE ${isOff(
               `iif(${isWebhook}, tenant.webhook_url, ${callback})`,
               "one.endpoint",
               `one.endpoint IN ('${webhookEndpoint}', '${notifyEndpoint}')`,
             )}) AS gone
         FROM deliveries AS one JOIN tenants AS tenant ON tenant.id = one.tenant_id
           LEFT JOIN tasks AS task ON task.id = one.task_id
         WHERE one.id IN (SELECT value FROM json_each(?1))`,
      )
      .bind(JSON.stringify(ids)),
    db
      .prepare(
        `SELECT * FROM tasks WHERE id IN (
           SELECT task_id FROM deliveries WHERE id IN (SELECT value FROM json_each(?1)))`,
      )
      .bind(JSON.stringify(ids)),
  ]);
  const rows = new Map((tasks?.results ?? []).map((row) => [row.id, row]));
  return readable(
    deliveries?.results ?? [],
    (row) => {
      const task = rows.get(row.task_id);
      return sendingOf(claimed.read(row), task ? taskFromRow(task) : null, nowMs);
    },
    skip,
  );
}

/** Of those that were replaced, so many sign beside the current one at the most: headers have an end. */
const secretsBefore = 3;

function sendingOf(row: ClaimedRow, task: Task | null, nowMs: number): Sending {
  const { webhookUrl, notifyUrl, retriedMs, events: _read, secret, ...others } = row;
  const { secretsBefore: before, isGone, ...rest } = others;
  const own: Record<string, string | null> = { [webhookEndpoint]: webhookUrl, [notifyEndpoint]: notifyUrl };
  const url = row.endpoint in own ? (own[row.endpoint] ?? null) : (task?.input.callback_url ?? null);
  const signing = before.filter(({ untilMs }) => untilMs > nowMs).slice(-secretsBefore);
  return {
    ...rest,
    task,
    lacksTask: !isGone && row.taskId !== null && task === null,
    endsMs: (retriedMs ?? row.createdMs) + deliveryLifeMs,
    url: isGone || task?.erased ? null : url,
    secrets: [secret, ...signing.map(({ text }) => text)],
  };
}

/**
 * Whether a callback was switched off since its delivery was put into the outbox, or retried: of a task that D1 lacks, whose URL
 * a claim does not know.
 */
export async function isCallbackOff(
  db: D1Database,
  { tenantId, endpoint, endsMs }: Sending,
  url: string,
): Promise<boolean> {
  const { results } = await db
    .prepare("SELECT 1 FROM gone_urls WHERE tenant_id = ?1 AND url IN (?2, ?3 || '/*') AND at_ms >= ?4")
    .bind(tenantId, url, endpoint, endsMs - deliveryLifeMs)
    .all();
  return results.length > 0;
}

/**
 * When the next delivery is due; null: none is open. Of a tenant with one under way that is the end of its lease: its sender
 * sees to the tenant's others until then.
 */
export function selectNextDelivery(db: D1Database): D1PreparedStatement {
  const sent = "FROM deliveries INDEXED BY deliveries_sending WHERE state = 'sending'";
  const first = (failing: 0 | 1) =>
    `SELECT * FROM (SELECT due_ms FROM tenant_turns AS turn INDEXED BY tenant_turns_due WHERE failing = ${failing}
       AND NOT EXISTS (SELECT 1 ${sent} AND tenant_id = turn.tenant_id) ORDER BY due_ms LIMIT 1)`;
  return db.prepare(
    `SELECT min(due_ms) AS dueMs FROM (
       SELECT min(due_ms) AS due_ms ${sent} UNION ALL ${first(0)} UNION ALL ${first(1)})`,
  );
}

export function nextDeliveryMs(result: D1Result | undefined): number | null {
  const [row] = (result?.results ?? []) as { dueMs: number | null }[];
  return row?.dueMs ?? null;
}
