/**
 * The self-check: whether what must always hold does. It is run by the operator and by cron, leaves out whatever
 * is younger than five minutes, since that may be under way, and mends one thing: a hold whose task has ended, or
 * never came to be, is settled as it should have been, with an entry that says so.
 */

import pMap from "p-map";
import {
  latestPictures,
  openTasksWithHold,
  overdueTasks,
  readEnds,
} from "../../d1/tasks/reconciled-tasks.ts";
import { voidMissing } from "../../d1/tasks/voids.ts";
import { tenantIds, tenantsFrom } from "../../d1/tenants/tenants.ts";
import { idBound } from "../../domain/ids.ts";
import { imageKey } from "../../domain/task.ts";
import { connections } from "../../platform/connections.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import type { OpenHold } from "../../tenant/check-state.ts";

export interface Problem {
  /** What is broken: `balance`, `hold`, `task`, `picture` or `overdue`. */
  kind: "balance" | "hold" | "task" | "picture" | "overdue";
  tenant: string | null;
  subject: string | null;
  text: string;
}

export interface Audit {
  problems: Problem[];
  tenants: number;
  /** There are more tenants than one call checks. */
  nextTenant: string | null;
}

const settledAfterMs = 300_000;
const tasksSampled = 20;
const overdueShown = 100;
export const tenantsAtOnce = 50;

/** Checks tenants after `afterId`, a bounded number of them, and what is overdue of all. */
export async function audit(invocation: Invocation, afterId = "", limit = tenantsAtOnce): Promise<Audit> {
  const beforeMs = invocation.now() - settledAfterMs;
  const overdue = await overdueTasks(invocation.db, beforeMs, overdueShown);
  const tenants = await tenantIds(invocation.db, afterId, limit + 1);
  const checked = tenants.slice(0, limit);
  const problems = await pMap(checked, (id) => checkTenant(invocation, id, beforeMs), {
    concurrency: connections,
  });
  return {
    problems: [
      ...overdue.map(
        (id): Problem => ({ kind: "overdue", tenant: null, subject: id, text: "should have ended" }),
      ),
      ...problems.flat(),
    ],
    tenants: checked.length,
    nextTenant: tenants.length > limit ? (checked.at(-1) ?? null) : null,
  };
}

const tenantsATick = 5;
const everyMinutes = 10;

/** A few tenants now and then, in turn; what is unsound is logged as an error. */
export async function reconcileSome(invocation: Invocation): Promise<void> {
  const minute = Math.floor(invocation.now() / 60_000);
  if (minute % everyMinutes !== 0) return;
  const turn = minute / everyMinutes;
  const tenants = await tenantsFrom(invocation.db, turn * tenantsATick, tenantsATick);
  const beforeMs = invocation.now() - settledAfterMs;
  await pMap(
    tenants,
    async (tenant) => {
      try {
        for (const problem of await checkTenant(invocation, tenant, beforeMs)) {
          invocation.log({ event: "unsound", level: "error", ...problem });
        }
      } catch (error) {
        // One that cannot be checked keeps none of the others from it.
        invocation.log({ event: "not_checked", level: "error", tenant, problem: describe(error) });
      }
    },
    { concurrency: connections },
  );
}

async function checkTenant(invocation: Invocation, tenant: string, beforeMs: number): Promise<Problem[]> {
  const { problems, openHolds } = await invocation.tenant(tenant).check();
  const old = openHolds.filter(({ atMs }) => atMs < beforeMs);
  return [
    ...problems.map((text): Problem => ({ kind: "balance", tenant, subject: null, text })),
    ...(await checkHolds(invocation, tenant, old)),
    ...(await checkOpenTasks(invocation, tenant, openHolds, beforeMs)),
    ...(await checkPictures(invocation, tenant, beforeMs)),
  ];
}

/** Holds that nobody would ever settle, which are settled here. One that was settled meanwhile is no problem. */
async function checkHolds(invocation: Invocation, tenant: string, holds: OpenHold[]): Promise<Problem[]> {
  const ends = await readEnds(invocation.db, holds);
  const lost = holds.filter(({ taskId }) => !ends.has(taskId));
  // Nobody may write a task's row any more once its hold is gone.
  const voided = new Set(
    await voidMissing(
      invocation.db,
      lost.map(({ taskId }) => taskId),
      invocation.now(),
    ),
  );
  const leaked = holds.filter(({ taskId }) => voided.has(taskId) || ends.get(taskId)?.open === false);
  const settled = await pMap(
    leaked,
    async ({ holdNumber, taskId }): Promise<Problem[]> => {
      const end = ends.get(taskId);
      const note = end ? "found unsettled by the audit" : "found without a task by the audit";
      const settlement = {
        holdNumber,
        images: end?.images ?? 0,
        refused: false,
        deleteReplay: !end,
        note,
        nowMs: invocation.now(),
      };
      const text = `${note}, and settled`;
      return (await invocation.tenant(tenant).settle(settlement))
        ? [{ kind: "hold", tenant, subject: taskId, text }]
        : [];
    },
    { concurrency: connections },
  );
  return settled.flat();
}

/** Tasks that go on although their hold is settled. */
async function checkOpenTasks(
  invocation: Invocation,
  tenant: string,
  holds: OpenHold[],
  beforeMs: number,
): Promise<Problem[]> {
  const open = await openTasksWithHold(invocation.db, tenant, beforeMs);
  const held = new Set(holds.map(({ holdNumber: hold }) => hold));
  return open
    .filter(({ holdNumber }) => !held.has(holdNumber))
    .map(({ id }) => ({ kind: "task", tenant, subject: id, text: "goes on although its hold is settled" }));
}

/** Completed tasks whose pictures are not there; the latest of each tenant. */
async function checkPictures(invocation: Invocation, tenant: string, beforeMs: number): Promise<Problem[]> {
  const tasks = await latestPictures(invocation.db, tenant, idBound("task", beforeMs), tasksSampled);
  const pictures = tasks.flatMap(({ id, images }) => images.map((image) => ({ id, image })));
  const found = await pMap(
    pictures,
    async ({ id, image }): Promise<Problem[]> => {
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
