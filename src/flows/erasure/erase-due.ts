/**
 * All that is to be erased or has come to the end of its life, in order of age. A tick does a little of it; where that is not
 * all, consumers of the Queue go on side by side until nothing is due (`enqueue.ts`). So the rate grows with what waits:
 * about a thousand tasks a minute, or six consumers' thirty thousand.
 */
import { deleteAged, isErasingDue, selectErasingDue } from "../../d1/erasure/aged-rows.ts";
import { takeErasing } from "../../d1/erasure/erasures.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { expireFiles, tombstoneFilesOf } from "./erase-files.ts";
import { eraseRest, eraserLeaseMs } from "./erase-tasks.ts";
import { eraseNext } from "./erase-turns.ts";
import { logNotErased } from "./not-erased.ts";

/**
 * What one invocation may do. A step makes at most fourteen queries of the 1,000 that an invocation has, and puts some
 * thousand pictures of its 10,000 subrequests.
 */
export interface Room {
  untilMs: number;
  steps: number;
  puts: number;
}

/** Beside a tick's rounds, which need most of its queries. */
export const roomOfTick = { steps: 6, puts: 2_000 };
export const roomOfConsumer = { steps: 60, puts: 6_000 };

/** Does some of its kind. @returns false: nothing more of it is due. */
type Step = (invocation: Invocation, room: Room) => Promise<boolean>;

const steps: Step[] = [
  doTurn,
  eraseLeft,
  (invocation) => tombstoneFilesOf(invocation, null),
  expireFiles,
  (invocation) => deleteAged(invocation.db, invocation.now()),
];

/** Erases what is due, while there is room. @returns whether there may be more. */
export async function eraseDue(invocation: Invocation, room: Room): Promise<boolean> {
  for (let kinds = steps; kinds.length > 0; ) {
    const goOn: Step[] = [];
    for (const kind of kinds) {
      if (room.steps-- <= 0 || room.puts <= 0 || invocation.now() >= room.untilMs) return true;
      try {
        if (await kind(invocation, room)) goOn.push(kind);
      } catch (error) {
        logNotErased(invocation, null, error);
      }
    }
    kinds = goOn;
  }
  return false;
}

/** A consumer stays for so many empty rounds: another eraser may have the only turn that there is, for a moment. */
const idleRounds = 20;
/** On the average; not all at the same moment. */
const pauseMs = 200;

/** Erases as a consumer does, until nothing has been due for a while, or there is no more room. */
export async function eraseUntil(invocation: Invocation, untilMs: number): Promise<void> {
  const room = { ...roomOfConsumer, untilMs };
  for (let idle = 0; idle < idleRounds && invocation.now() < untilMs; idle++) {
    if (isErasingDue(await selectErasingDue(invocation.db, invocation.now()).all())) {
      if (await eraseDue(invocation, room)) return;
      idle = 0;
    }
    await invocation.sleep(Math.round(pauseMs * (0.5 + invocation.random())));
  }
}

async function doTurn(invocation: Invocation, room: Room): Promise<boolean> {
  const puts = await eraseNext(invocation);
  room.puts -= puts ?? 0;
  return puts !== undefined;
}

/** As many objects may hang, ten seconds each, six at a time. */
const leftAtOnce = 100;

/** What erasers have left that died or failed. */
async function eraseLeft(invocation: Invocation, room: Room): Promise<boolean> {
  const taking = { limit: leftAtOnce, leaseUntilMs: invocation.now() + eraserLeaseMs };
  const rows = await takeErasing(invocation.db, invocation.now(), taking);
  const { puts, failures } = await eraseRest(invocation, rows, { skip: skipUnreadable(invocation) });
  for (const { tenantId, error } of failures) logNotErased(invocation, tenantId, error);
  room.puts -= puts;
  return rows.length === leftAtOnce;
}
