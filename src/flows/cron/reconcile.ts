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
  tenantsOfNoRow,
} from "../../d1/tasks/reconciled-tasks.ts";
import { tenantIds, tenantsOfTurn } from "../../d1/tenants/tenants.ts";
import { idBound } from "../../domain/ids.ts";
import { imageKey } from "../../domain/task.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { logUnreadable, skipUnreadable } from "../../platform/unreadable.ts";
import type { OpenHold } from "../../tenant/check-state.ts";
import { tenantsMade } from "../erasure/restore-notes.ts";
import { close, hasItsCopy, pushConfig } from "../tenants/push-config.ts";
import { checkOrphans } from "./check-archive.ts";
import { checkHolds, unsettled } from "./check-holds.ts";
import { checkAccount } from "./check-ledger.ts";
import { type Checked, type CompareRoom, checkLost } from "./check-lost.ts";
import { checkRestored } from "./check-restored.ts";
import type { Discrepancy } from "./discrepancy.ts";
import { eraseAgain } from "./erase-again.ts";

export interface Reconciliation {
  discrepancies: Discrepancy[];
  tenants: number;
  /** Where the next call goes on: after a tenant, or, `<tenant>:<rest>`, within it. Null: all is reconciled. */
  next: string | null;
}

const settledAfterMs = 300_000;
const tasksSampled = 20;
const overdueShown = 100;
/** One call compares fifty thousand entries. */
const slicesACall = 100;
export const tenantsAtOnce = 50;

/**
 * Reconciles tenants, `limit` of them at most, and finds the overdue tasks of all tenants.
 * @param from The `next` of the call before; empty: the first tenant.
 */
export async function reconcile(
  invocation: Invocation,
  mends: boolean,
  from = "",
  limit = tenantsAtOnce,
): Promise<Reconciliation> {
  const beforeMs = invocation.now() - settledAfterMs;
  const room = { slices: slicesACall };
  const [afterId, begun] = readPlace(from);
  if (begun !== "") {
    const { found, rest } = await checkLost(invocation, afterId, beforeMs, room, begun);
    return { discrepancies: found, tenants: 0, next: formatPlace(afterId, rest ?? "") };
  }
  const discrepancies = await checkOverdue(invocation, beforeMs);
  if (from === "") discrepancies.push(...(await checkLostTenants(invocation, mends)));
  const ids = await tenantIds(invocation.db, afterId, limit + 1);
  const checked = await inParallel(
    ids.slice(0, limit),
    async (id) =>
      room.slices > 0 ? checkTenant(invocation, id, beforeMs, room, { mends, withUsers: true }) : undefined,
    { concurrency: connections },
  );
  // What was found, and mended, of tenants behind one that is not over is shown, and they are checked once more.
  discrepancies.push(...checked.flatMap((one) => one?.found ?? []));
  const tenants = checked.findIndex((one) => one?.rest !== null);
  const cut = checked[tenants];
  if (cut?.rest) return { discrepancies, tenants, next: formatPlace(ids[tenants] ?? "", cut.rest) };
  const over = tenants < 0 ? checked.length : tenants;
  return { discrepancies, tenants: over, next: over < ids.length ? (ids[over - 1] ?? null) : null };
}

export function readPlace(text: string): [tenant: string, rest: string] {
  const [tenant = "", ...rest] = text.split(":");
  return [tenant, rest.join(":")];
}

/** The cursor of a place within a tenant, or, with an empty rest, of the tenant. */
export const formatPlace = (tenant: string, rest: string) => (rest === "" ? tenant : `${tenant}:${rest}`);

async function checkOverdue(invocation: Invocation, beforeMs: number): Promise<Discrepancy[]> {
  const { ids, count } = await overdueTasks(invocation.db, beforeMs, overdueShown);
  const more = `${count - ids.length} more should have ended: they are shown as these end`;
  const shown = (subject: string | null, text: string): Discrepancy => ({
    ...{ kind: "overdue", tenant: null, subject },
    text,
  });
  return [
    ...ids.map((id) => shown(id, "should have ended")),
    ...(count > ids.length ? [shown(null, more)] : []),
  ];
}

const tenantsATick = 5;
const everyMinutes = 10;
/** Of a tenant, each time: five thousand entries. */
const slicesATurn = 10;

/** Reconciles a few tenants every ten minutes, in turn, and logs each discrepancy as an error. */
export async function reconcileSome(invocation: Invocation): Promise<void> {
  const minute = Math.floor(invocation.now() / 60_000);
  if (minute % everyMinutes !== 0) return;
  const tenants = await tenantsOfTurn(invocation.db, minute / everyMinutes, tenantsATick);
  const beforeMs = invocation.now() - settledAfterMs;
  for (const discrepancy of await checkLostTenants(invocation, true))
    invocation.log({ event: "discrepancy", level: "error", ...discrepancy });
  await inParallel(
    tenants,
    async (tenant) => {
      try {
        const object = invocation.tenant(tenant);
        const from = await object.comparePlace();
        const { found, rest } = await checkTenant(
          ...([invocation, tenant, beforeMs, { slices: slicesATurn }] as const),
          { mends: true, from },
        );
        for (const discrepancy of found)
          invocation.log({ event: "discrepancy", level: "error", ...discrepancy });
        if (rest !== (from || null)) await object.comparePlace(rest ?? "");
        // Of a tenant that makes tasks its object's alarm does it.
        await object.closeBooks(invocation.now());
      } catch (error) {
        // The other tenants are reconciled all the same.
        invocation.log({ event: "not_reconciled", level: "error", tenant, problem: describe(error) });
      }
    },
    { concurrency: connections },
  );
}

/** Reconciles one tenant, and changes nothing. @param from The `rest` of the call before; empty: all of it. */
export function reconcileOne(
  invocation: Invocation,
  tenant: string,
  room: CompareRoom,
  from: string,
): Promise<Checked> {
  const beforeMs = invocation.now() - settledAfterMs;
  return from === ""
    ? checkTenant(invocation, tenant, beforeMs, room, {})
    : checkLost(invocation, tenant, beforeMs, room, from);
}

async function checkTenant(
  invocation: Invocation,
  tenant: string,
  beforeMs: number,
  room: CompareRoom,
  { mends = false, withUsers = false, from = "" },
): Promise<Checked> {
  const { problems, unreadable, openHolds } = await checkAccount(invocation, tenant);
  for (const one of unreadable) logUnreadable(invocation, one);
  if (mends) await eraseAgain(invocation, tenant, withUsers);
  const old = openHolds.filter(({ atMs }) => atMs < beforeMs);
  const found = [
    ...problems.map((text): Discrepancy => ({ kind: "balance", tenant, subject: null, text })),
    ...unreadable.map(({ place: { table, field, id } }) => unsettled(tenant, null, table, field, id)),
    ...(await checkSettings(invocation, tenant, mends)),
    ...(await checkHolds(invocation, tenant, old, beforeMs, mends)),
    ...(await checkOpenTasks(invocation, tenant, openHolds, beforeMs)),
    ...(await checkRestored(invocation, [tenant], { beforeMs, mends, withUsers })),
    ...(mends ? await checkOrphans(invocation, tenant) : []),
    ...(await checkPictures(invocation, tenant, beforeMs)),
  ];
  const lost = await checkLost(invocation, tenant, beforeMs, room, from);
  return { found: [...found, ...lost.found], rest: lost.rest };
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
    await tenantsOfNoRow(invocation.db, await tenantsMade(invocation, mends)),
    async (tenant): Promise<Discrepancy> => {
      const closed = mends && (await isClosed(invocation, tenant)) ? ", and is suspended in its object" : "";
      const text = `was made and is not in the database${closed}: make a tenant of this id to have it again`;
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
      // An empty one was erased: its task is, or is about to be.
      if (object && [image.stored?.bytes, 0].includes(object.size)) return [];
      const text = "is completed, and one of its pictures is not stored";
      return [{ kind: "picture", tenant, subject: id, text }];
    },
    { concurrency: connections },
  );
  return found.flat();
}
