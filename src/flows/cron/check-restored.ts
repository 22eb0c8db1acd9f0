/**
 * What D1 has brought back since it was restored to an earlier time: text that was erased, keys that were revoked, a tenant
 * that was deleted. There are notes of them outside D1, and one right answer: it is done again. What is done at once is the
 * least that keeps them from being read: the pictures of tasks, the tasks of end users, and keys in objects go with the next ticks.
 */
import { readRestoredTo } from "../../d1/cron/leases.ts";
import { broughtBack, endUsers, type Noted, revokeAgain } from "../../d1/erasure/brought-back.ts";
import { insertErasure } from "../../d1/erasure/erasure-turns.ts";
import { redactTasks } from "../../d1/erasure/erasures.ts";
import { tenantsOfTurn } from "../../d1/tenants/tenants.ts";
import { idBound } from "../../domain/ids.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { dropTenant } from "../erasure/erase.ts";
import { type RestoreNote, readNotes, userInNote, userOfNote } from "../erasure/restore-notes.ts";
import { pushLagging } from "../tenants/push-config.ts";
import { checkArchived } from "./check-archive.ts";
import { type Discrepancy, nameBack } from "./discrepancy.ts";

type Note = RestoreNote & Noted;

export interface CheckRestored {
  /** What is younger may be under way. */
  beforeMs: number;
  /** Only what was noted since. */
  sinceMs?: number;
  mends: boolean;
  /** Also end users, of whom all that a tenant has are read. */
  withUsers: boolean;
}

const minuteMs = 60_000;
const tenantsATick = 100;

/** Does again, a hundred tenants a tick, what D1 has brought back that was restored. */
export async function followRestore(invocation: Invocation): Promise<void> {
  const { db } = invocation;
  const nowMs = invocation.now();
  // What was noted was done within a minute.
  const sinceMs = Math.max(0, (await readRestoredTo(db, nowMs)) - minuteMs);
  const tenants = await tenantsOfTurn(db, Math.floor(nowMs / minuteMs), tenantsATick);
  const which = { beforeMs: nowMs - minuteMs, sinceMs, mends: true, withUsers: true };
  for (const discrepancy of await checkRestored(invocation, tenants, which))
    invocation.log({ event: "discrepancy", level: "error", ...discrepancy });
}

/** Notes that are compared with D1 at a time. */
const notesAtOnce = 1_000;
/** Where so many are back the others come next time: what is done again is there no more then. */
const foundAtOnce = 100;
/** Each is some calls of D1, or one. */
const most = { pushed: 20, deleted: 10, users: 100 };

export async function checkRestored(
  invocation: Invocation,
  tenants: string[],
  which: CheckRestored,
): Promise<Discrepancy[]> {
  const found: Discrepancy[] = [];
  const erasures: Note[] = [];
  let notes: Note[] = [];
  const check = async () => {
    found.push(...(await checkNotes(invocation, notes, which.mends)));
    erasures.push(...notes.filter(({ what }) => which.withUsers && /^(user|task)-/.test(what)));
    notes = [];
    return found.length < foundAtOnce;
  };
  for (const tenantId of tenants)
    for await (const page of readNotes(invocation, tenantId, which.mends, which.sinceMs)) {
      notes.push(...page.filter(({ atMs }) => atMs < which.beforeMs).map((note) => ({ ...note, tenantId })));
      if (notes.length >= notesAtOnce && !(await check())) return found;
    }
  if (notes.length > 0) await check();
  found.push(...(await checkUsers(invocation, erasures, which.mends)));
  for (const [tenantId, of] of byTenant(erasures))
    found.push(...(await checkArchived(invocation, tenantId, of, which.mends)));
  return found;
}

/** Names tasks, keys and tenants that are back, and does what was done to them again. */
async function checkNotes(invocation: Invocation, notes: Note[], mends: boolean): Promise<Discrepancy[]> {
  const { db } = invocation;
  const back = await broughtBack(db, notes);
  const tasks = [...byTenant(back.tasks)].slice(0, foundAtOnce);
  const tenants = back.tenants.slice(0, most.deleted);
  if (mends) {
    const redaction = { limit: notesAtOnce, leaseUntilMs: invocation.now() };
    for (const [tenant, of] of tasks)
      await redactTasks(db, tenant, { tasks: JSON.stringify(of.map(({ what }) => what)) }, redaction);
    if (back.keys.length > 0) await revokeAgain(db, back.keys, invocation.now());
    await pushLagging(invocation, [...byTenant(back.keys).keys()].slice(0, most.pushed));
    const by = { actor: "admin", requestId: invocation.newId("request") };
    // Refused while its tasks run: the next turn tries it again.
    for (const { tenantId } of tenants) await dropTenant(invocation, by, tenantId);
  }
  const name = (was: string, { tenantId, what }: Noted) =>
    nameBack(mends, was, tenantId, was === "deleted" ? null : what);
  return [
    ...tasks.flatMap(([, of]) => of.map((one) => name("erased", one))),
    ...back.keys.map((one) => name("revoked", one)),
    ...tenants.map((one) => name("deleted", one)),
  ];
}

/** Names end users who are back, and has them erased again, by cron's turns. */
async function checkUsers(invocation: Invocation, notes: Note[], mends: boolean): Promise<Discrepancy[]> {
  const { db } = invocation;
  const found: Discrepancy[] = [];
  for (const [tenantId, of] of byTenant(notes)) {
    const noted = new Map(of.map(({ what, atMs }) => [userOfNote(what), atMs]));
    for (const { name: endUser, oldest } of await endUsers(db, tenantId)) {
      const atMs = noted.get(userOfNote(await userInNote(tenantId, endUser))) ?? 0;
      if (oldest >= idBound("task", atMs + 1)) continue;
      if (found.push(nameBack(mends, "erased", tenantId, null)) > most.users) return found;
      if (!mends) continue;
      await invocation.tenant(tenantId).flush();
      await insertErasure(db, { tenantId, endUser, atMs });
    }
  }
  return found;
}

const byTenant = <N extends Noted>(notes: N[]): Map<string, N[]> =>
  Map.groupBy(notes, ({ tenantId }) => tenantId);
