/**
 * Where tasks are erased, whatever the reason. The text is gone at once, in D1 (`redactTasks`): from then on the task
 * answers 410. The rest goes here: what the tenant's object keeps of the request, then the pictures. Each becomes an empty
 * tombstone under its own key, so that a storer that comes late cannot bring it back (its put is create-only) and its URL
 * answers 410 as well. The figures stay: they were charged.
 *
 * Who redacts a task has its rest until a lease runs out (`due_ms` of the task), then another eraser takes it:
 *
 *   eraser                                  another eraser
 *   1. redacts: `pending`, with its lease
 *   2. (dies, or the object or the bucket   its lease runs out; takes the task, does all of it again, which changes nothing
 *      fails)
 *   3. tombstones; `done`                   by compare-and-set: once
 */
import {
  type ErasingRow,
  type ErasingTask,
  erasingTasks,
  markTombstoned,
} from "../../d1/erasure/erasures.ts";
import { dropDeliveriesOf } from "../../d1/webhooks/attempts.ts";
import type { SkipUnreadable } from "../../domain/stored.ts";
import { imageKey } from "../../domain/task.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { copyAddress, dropCopies } from "../images/edge-copy.ts";

/**
 * How long an eraser may take before another one goes on, and after how long what failed is taken again. Two at once do no
 * harm. Some hundred pictures take ten seconds.
 */
export const eraserLeaseMs = 2 * 60_000;
/** So many failures in one go are the bucket's, and no single picture's. */
export const mostFailures = 6;

export interface Erased {
  /** Pictures that were put, or tried. */
  puts: number;
  /** What failed, each with its tenant, and its task where that is a picture; it is taken again when its lease has run out. */
  failures: { tenantId: string; taskId?: string; error: unknown }[];
  /** Ids of the tasks of which nothing is left. */
  done: Set<string>;
}

/**
 * Erases what redacted tasks have left.
 * @param goOn Runs once the objects have done their part: what is still to come takes long, and fails no other task.
 * @throws StoredDataUnreadable unless it may `skip`.
 */
export async function eraseRest(
  invocation: Invocation,
  rows: ErasingRow[],
  { skip, goOn }: { skip?: SkipUnreadable; goOn?: () => Promise<void> } = {},
): Promise<Erased> {
  if (rows.length === 0) return { puts: 0, failures: [], done: new Set() };
  await dropDeliveriesOf(
    invocation.db,
    rows.map(({ id }) => id),
  );
  const tasks = erasingTasks(rows, skip);
  const failures = await eraseRequests(invocation, tasks);
  if (failures.length === 0) await goOn?.();
  const { puts, failed } = await putTombstones(invocation, tasks);
  const failing = new Set([...failures.map(({ tenantId }) => tenantId), ...failed.keys()]);
  const done = tasks
    .filter(({ id, tenantId }) => !failing.has(id) && !failing.has(tenantId))
    .map(({ id }) => id);
  await markTombstoned(invocation.db, done);
  return { puts, failures: [...failures, ...failed.values()], done: new Set(done) };
}

/** Has each tenant's object drop what it keeps of the requests. */
async function eraseRequests(invocation: Invocation, tasks: ErasingTask[]): Promise<Erased["failures"]> {
  const failures: Erased["failures"] = [];
  await inParallel(
    [...Map.groupBy(tasks, ({ tenantId }) => tenantId)],
    async ([tenantId, own]) => {
      try {
        await invocation.tenant(tenantId).erase(own.map(({ id, holdNumber }) => ({ id, holdNumber })));
      } catch (error) {
        failures.push({ tenantId, error });
      }
    },
    { concurrency: connections },
  );
  return failures;
}

/** Puts tombstones in the places of pictures, each by itself, and then drops the copies at this edge. */
async function putTombstones(invocation: Invocation, tasks: ErasingTask[]) {
  /** By the id of the task. */
  const failed = new Map<string, Erased["failures"][number]>();
  const pictures = tasks.flatMap((task) => task.images.map((image) => ({ task, image })));
  await inParallel(
    pictures,
    async ({ task: { id, tenantId }, image }) => {
      const given = image.stored ? { httpMetadata: { contentType: image.stored.contentType } } : {};
      try {
        if (failed.size >= mostFailures) throw new Error("storage");
        await invocation.bucket.put(imageKey(image.id), new Uint8Array(), given);
      } catch (error) {
        if (!failed.has(id)) failed.set(id, { tenantId, taskId: id, error });
      }
    },
    { concurrency: connections },
  );
  const copies = pictures.flatMap(({ task: { origin }, image: { id, stored } }) =>
    stored ? [copyAddress(invocation, origin, id, stored.contentType)] : [],
  );
  await dropCopies(invocation, copies);
  return { puts: pictures.length, failed };
}
