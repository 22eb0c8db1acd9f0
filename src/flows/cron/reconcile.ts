/**
 * Reconciliation: whether balances, holds, tasks and pictures agree. It leaves out all that is younger than five minutes,
 * since that may be under way. Cron, and the operator who wants it, mend four discrepancies: a hold whose task has ended is
 * settled as it should have been, with a ledger entry that says so; one whose task D1 lacks is written there again; an
 * object that has other settings than D1 is given these, but for a stop, which stays; one whose tenant D1 lacks admits
 * nothing more. Reading changes nothing.
 */

import {
  latestPictures,
  openTasksWithHold,
  overdueTasks,
  readEnds,
  tenantsOfNoRow,
} from "../../d1/tasks/reconciled-tasks.ts";
import { tenantIds, tenantsFrom } from "../../d1/tenants/tenants.ts";
import { idBound } from "../../domain/ids.ts";
import { StoredDataUnreadable } from "../../domain/stored.ts";
import { imageKey } from "../../domain/task.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { logUnreadable, skipUnreadable } from "../../platform/unreadable.ts";
import type { OpenHold } from "../../tenant/check-state.ts";
import { close, hasItsCopy, pushConfig } from "../tenants/push-config.ts";
import { checkAccount } from "./check-ledger.ts";
import { checkLost } from "./check-lost.ts";
import { checkRestored } from "./check-restored.ts";
import type { Discrepancy } from "./discrepancy.ts";
import { eraseAgain } from "./erase-again.ts";

export interface Reconciliation {
  discrepancies: Discrepancy[];
  tenants: number;
  /** There are more tenants than one call checks. */
  nextTenant: string | null;
}

const settledAfterMs = 300_000;
const tasksSampled = 20;
const overdueShown = 100;
export const tenantsAtOnce = 50;

/** Reconciles tenants after `afterId`, `limit` of them at most, and finds the overdue tasks of all tenants. */
export async function reconcile(
  invocation: Invocation,
  mends: boolean,
  afterId = "",
  limit = tenantsAtOnce,
): Promise<Reconciliation> {
  const beforeMs = invocation.now() - settledAfterMs;
  const overdue = await overdueTasks(invocation.db, beforeMs, overdueShown);
  const tenants = await tenantIds(invocation.db, afterId, limit + 1);
  const checked = tenants.slice(0, limit);
  const discrepancies = await inParallel(
    checked,
    (id) => checkTenant(invocation, id, beforeMs, mends, true),
    {
      concurrency: connections,
    },
  );
  const lost = afterId === "" ? await checkLostTenants(invocation, mends) : [];
  return {
    discrepancies: [
      ...lost,
      ...overdue.map(
        (id): Discrepancy => ({ kind: "overdue", tenant: null, subject: id, text: "should have ended" }),
      ),
      ...discrepancies.flat(),
    ],
    tenants: checked.length,
    nextTenant: tenants.length > limit ? (checked.at(-1) ?? null) : null,
  };
}

const tenantsATick = 5;
const everyMinutes = 10;

/** Reconciles a few tenants every ten minutes, in turn, and logs each discrepancy as an error. */
export async function reconcileSome(invocation: Invocation): Promise<void> {
  const minute = Math.floor(invocation.now() / 60_000);
  if (minute % everyMinutes !== 0) return;
  const turn = minute / everyMinutes;
  const tenants = await tenantsFrom(invocation.db, turn * tenantsATick, tenantsATick);
  const beforeMs = invocation.now() - settledAfterMs;
  for (const discrepancy of await checkLostTenants(invocation, true))
    invocation.log({ event: "discrepancy", level: "error", ...discrepancy });
  await inParallel(
    tenants,
    async (tenant) => {
      try {
        for (const discrepancy of await checkTenant(invocation, tenant, beforeMs, true)) {
          invocation.log({ event: "discrepancy", level: "error", ...discrepancy });
        }
        // Of a tenant that makes tasks its object's alarm does it.
        await invocation.tenant(tenant).closeBooks(invocation.now());
      } catch (error) {
        // The other tenants are reconciled all the same.
        invocation.log({ event: "not_reconciled", level: "error", tenant, problem: describe(error) });
      }
    },
    { concurrency: connections },
  );
}

/** Reconciles one tenant, and changes nothing. */
export function reconcileOne(invocation: Invocation, tenant: string): Promise<Discrepancy[]> {
  return checkTenant(invocation, tenant, invocation.now() - settledAfterMs, false);
}

async function checkTenant(
  invocation: Invocation,
  tenant: string,
  beforeMs: number,
  mends: boolean,
  withUsers = false,
): Promise<Discrepancy[]> {
  const { problems, unreadable, openHolds } = await checkAccount(invocation, tenant);
  for (const one of unreadable) logUnreadable(invocation, one);
  if (mends) await eraseAgain(invocation, tenant, withUsers);
  const old = openHolds.filter(({ atMs }) => atMs < beforeMs);
  return [
    ...problems.map((text): Discrepancy => ({ kind: "balance", tenant, subject: null, text })),
    ...unreadable.map(({ place: { table, field, id } }) => unsettled(tenant, null, table, field, id)),
    ...(await checkSettings(invocation, tenant, mends)),
    ...(await checkHolds(invocation, tenant, old, beforeMs, mends)),
    ...(await checkOpenTasks(invocation, tenant, openHolds, beforeMs)),
    ...(await checkLost(invocation, tenant, beforeMs)),
    ...(await checkRestored(invocation, tenant, beforeMs, { mends, withUsers })),
    ...(await checkPictures(invocation, tenant, beforeMs)),
  ];
}

/** Gives a tenant's object its settings again where it has others, as after D1 was restored to an earlier time. */
async function checkSettings(invocation: Invocation, tenant: string, mends: boolean): Promise<Discrepancy[]> {
  const { wasOff, keptStop } = mends
    ? await pushConfig(invocation, tenant)
    : { wasOff: !(await hasItsCopy(invocation, tenant)), keptStop: false };
  if (!wasOff) return [];
  const stopped = keptStop ? "; it was suspended there, and stays so" : "";
  const given = mends ? `, and was given these${stopped}` : "";
  const text = `the tenant's object had other settings or keys than the database${given}`;
  return [{ kind: "settings", tenant, subject: null, text }];
}

/** Tenants that D1 has lost, as those that were made after the moment to which it was restored: their objects go on. */
async function checkLostTenants(invocation: Invocation, mends: boolean): Promise<Discrepancy[]> {
  return inParallel(
    await tenantsOfNoRow(invocation.db),
    async (tenant): Promise<Discrepancy> => {
      const closed = mends && (await isClosed(invocation, tenant)) ? ", and is suspended in its object" : "";
      const text = `makes tasks and is not in the database${closed}: make a tenant of this id to have it again`;
      return { kind: "settings", tenant, subject: null, text };
    },
    { concurrency: connections },
  );
}

/** Suspends a tenant in its object. One that does not answer keeps no other from being reconciled: the next turn comes. */
async function isClosed(invocation: Invocation, tenant: string): Promise<boolean> {
  try {
    await close(invocation, tenant, { isSuspended: true });
    return true;
  } catch (error) {
    invocation.log({ event: "not_reconciled", level: "error", tenant, problem: describe(error) });
    return false;
  }
}

/** Settles holds that no ender and no cron would settle. One that was settled meanwhile is no discrepancy. */
async function checkHolds(
  invocation: Invocation,
  tenant: string,
  holds: OpenHold[],
  beforeMs: number,
  mends: boolean,
): Promise<Discrepancy[]> {
  const unreadable = new Set<string>();
  const ends = await readEnds(invocation.db, holds, (problem) => {
    unreadable.add(problem.place.id);
    logUnreadable(invocation, problem);
  });
  const lost = holds.filter(({ taskId }) => !ends.has(taskId) && !unreadable.has(taskId));
  const numbers = lost.map(({ holdNumber }) => holdNumber);
  const mended = new Set(
    mends && numbers.length > 0 ? await invocation.tenant(tenant).writeAgain(numbers) : [],
  );
  const leaked = holds.filter(({ taskId }) => {
    const finishedMs = ends.get(taskId)?.finishedMs ?? null;
    return finishedMs !== null && finishedMs < beforeMs;
  });
  const settled = await inParallel(
    leaked,
    async ({ holdNumber, taskId }): Promise<Discrepancy[]> => {
      const { images = 0, refused = false, hidden: deleteReplay = false } = ends.get(taskId) ?? {};
      const note = "found unsettled by the audit";
      const nowMs = invocation.now();
      const settlement = { holdNumber, taskId, images, refused, deleteReplay, note, nowMs };
      const text = `${note}${mends ? ", and settled" : ""}`;
      if (!mends) return [{ kind: "hold", tenant, subject: taskId, text }];
      try {
        return (await invocation.tenant(tenant).settle(settlement)) === "settled"
          ? [{ kind: "hold", tenant, subject: taskId, text }]
          : [];
      } catch (error) {
        if (!(error instanceof StoredDataUnreadable)) throw error;
        // The tenant's other holds are settled all the same.
        logUnreadable(invocation, error);
        const { table, field, id } = error.place;
        return [unsettled(tenant, taskId, table, field, id)];
      }
    },
    { concurrency: connections },
  );
  const lostText = (holdNumber: number) =>
    `its task was not in the database${mends ? `, and was ${mended.has(holdNumber) ? "" : "not "}written there again` : ""}`;
  return [
    ...lost.map(
      ({ holdNumber, taskId }): Discrepancy => ({
        ...{ kind: "hold", tenant, subject: taskId },
        text: lostText(holdNumber),
      }),
    ),
    ...settled.flat(),
  ];
}

function unsettled(tenant: string, subject: string | null, ...place: string[]): Discrepancy {
  return {
    kind: "hold",
    tenant,
    subject,
    text: `cannot be settled, since ${place.join(" ")} cannot be read`,
  };
}

/** Tasks that go on although their hold is settled. */
async function checkOpenTasks(
  invocation: Invocation,
  tenant: string,
  holds: OpenHold[],
  beforeMs: number,
): Promise<Discrepancy[]> {
  const open = await openTasksWithHold(invocation.db, tenant, beforeMs);
  const held = new Set(holds.map(({ holdNumber: hold }) => hold));
  return open
    .filter(({ holdNumber }) => !held.has(holdNumber))
    .map(({ id }) => ({ kind: "task", tenant, subject: id, text: "goes on although its hold is settled" }));
}

/** Completed tasks whose pictures are not there; the latest of each tenant. */
async function checkPictures(
  invocation: Invocation,
  tenant: string,
  beforeMs: number,
): Promise<Discrepancy[]> {
  const skip = skipUnreadable(invocation);
  const tasks = await latestPictures(invocation.db, tenant, idBound("task", beforeMs), tasksSampled, skip);
  const pictures = tasks.flatMap(({ id, images }) => images.map((image) => ({ id, image })));
  const found = await inParallel(
    pictures,
    async ({ id, image }): Promise<Discrepancy[]> => {
      const object = await invocation.bucket.head(imageKey(image.id));
      const text = "is completed, and one of its pictures is not stored";
      return object && object.size === image.stored?.bytes
        ? []
        : [{ kind: "picture", tenant, subject: id, text }];
    },
    { concurrency: connections },
  );
  return found.flat();
}
