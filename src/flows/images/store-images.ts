/**
 * Storing a task's pictures and ending it. Two storers of one task may meet when the first one's lease ran out:
 *
 *   storer A                            storer B
 *   1. fetches, slowly
 *                                       2. claims, fetches, puts under the recorded id: created
 *                                       3. finish → completed
 *   4. puts under the same id: the object is there already, so A reads its metadata and takes that
 *   5. finish → changes nothing
 *
 * When A dies after its put, B finds the object in the same way. A picture is one object, whichever storer wins.
 */

import { claimStores, giveBackFound, giveBackStores, selectFound } from "../../d1/tasks/store-claims.ts";
import { postponeStoring } from "../../d1/tasks/tasks.ts";
import { readImage } from "../../domain/image.ts";
import { sha256Hex } from "../../domain/signing.ts";
import { readable, StoredDataUnreadable } from "../../domain/stored.ts";
import { imageKey, type StoredImage, type Task, type TaskImage } from "../../domain/task.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { logUnreadable, skipUnreadable } from "../../platform/unreadable.ts";
import { finish } from "../tasks/finish.ts";
import { fetchPicture } from "./fetch-picture.ts";
import { pictureFrom, pictureMetadata } from "./picture-metadata.ts";

/** A storer that has claimed several tasks gives back those that it has not begun in this time. */
const beginMs = 20_000;
/** Longer than three waves of fetches and one more for fresh links, each with its own time limit. */
export const storeLeaseMs = beginMs + 240_000;
/** Pictures of one task under way; with the lane's slots they bound the memory. */
const picturesAtOnce = 2;
const maxPauseMs = 600_000;

/** Stores the missing pictures of a task whose lease the caller holds, and ends the task when none is missing. */
export async function storeImages(invocation: Invocation, task: Task): Promise<void> {
  const dead = new Set<string>();
  let images = await storeWanted(invocation, task, task.images, dead);
  // The upstream may give better links than those that it gave when it was done.
  const fresh = dead.size > 0 ? await readFreshLinks(invocation, task, dead) : undefined;
  if (fresh) images = await storeWanted(invocation, task, withLinks(images, fresh), new Set());
  const open =
    images.some((image) => image.state === "wanted") && invocation.now() < (task.upstreamLinksExpireMs ?? 0);
  if (open) {
    const pauseMs = Math.min(maxPauseMs, 2 ** Math.min(task.attempts, 12) * 1000);
    await postponeStoring(invocation.db, task, images, invocation.now() + pauseMs);
    return;
  }
  const stored = images.filter((image) => image.state === "stored");
  const ended = stored.length > 0 ? { state: "completed" as const, errorCode: null } : failure;
  await finish(invocation, [{ id: task.id, from: ["storing"], images: stored, ...ended }]);
}

/** @param dead takes the links that turned out to be gone. */
function storeWanted(
  invocation: Invocation,
  task: Task,
  images: TaskImage[],
  dead: Set<string>,
): Promise<TaskImage[]> {
  return inParallel(images, (image) => storeImage(invocation, task, image, dead), {
    concurrency: picturesAtOnce,
  });
}

/** Reads the task upstream again: its links in order, when they are for the same pictures and not the dead ones. */
async function readFreshLinks(
  invocation: Invocation,
  task: Task,
  dead: Set<string>,
): Promise<string[] | undefined> {
  if (task.upstreamId === null) return undefined;
  const outcome = await invocation.upstream.read(task.upstreamId);
  if (outcome.kind !== "task" || outcome.seen.status !== "completed") return undefined;
  const links = outcome.seen.links.slice(0, task.input.n);
  return links.length === task.images.length && !links.every((link) => dead.has(link)) ? links : undefined;
}

function withLinks(images: TaskImage[], links: string[]): TaskImage[] {
  return images.map((image, index) => {
    const source = links[index];
    return image.state === "wanted" && source !== undefined ? { ...image, source } : image;
  });
}

const failure = { state: "failed", errorCode: "storage_failed" } as const;

async function storeImage(
  invocation: Invocation,
  task: Task,
  image: TaskImage,
  dead: Set<string>,
): Promise<TaskImage> {
  if (image.state !== "wanted" || !image.source) return image;
  try {
    return await fetchAndStore(invocation, task, image, image.source, dead);
  } catch (error) {
    // The bucket is unavailable: this picture waits, the others do not.
    return notStored(invocation, task, image, describe(error), false);
  }
}

async function fetchAndStore(
  invocation: Invocation,
  task: Task,
  image: TaskImage,
  source: string,
  dead: Set<string>,
): Promise<TaskImage> {
  // An earlier attempt may have put it and died before it could record that.
  const found = task.attempts > 1 ? await findStored(invocation, image.id) : undefined;
  if (found?.stored) return { ...image, state: "stored", stored: found.stored };
  const fetched = await fetchPicture(invocation, source, task.attempts <= 1);
  if (fetched.kind === "problem") {
    if (fetched.dead) dead.add(source);
    return notStored(invocation, task, image, fetched.problem, fetched.final);
  }
  try {
    return await keep(invocation, task, image, fetched.bytes);
  } finally {
    fetched.done();
  }
}

/** Puts bytes under the picture's id, if they are a whole picture. */
async function keep(
  invocation: Invocation,
  task: Task,
  image: TaskImage,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<TaskImage> {
  const read = readImage(bytes);
  if (!read) return notStored(invocation, task, image, "no PNG, JPEG or WebP", false);
  if (read.extent === "cut") return notStored(invocation, task, image, "incomplete", false);
  const sha256 = await sha256Hex(bytes);
  const stored = await putOnce(invocation, image.id, bytes, { ...read.facts, bytes: bytes.length, sha256 });
  return stored ? { ...image, state: "stored", stored } : notStored(invocation, task, image, "erased", true);
}

function notStored(
  invocation: Invocation,
  task: Task,
  image: TaskImage,
  problem: string,
  final: boolean,
): TaskImage {
  // Which picture, by number: its id is the key to its URL.
  const picture = task.images.findIndex(({ id }) => id === image.id);
  invocation.log({
    event: "picture_not_stored",
    task: task.id,
    picture,
    attempt: task.attempts,
    problem,
    final,
  });
  return final ? { ...image, state: "lost" } : image;
}

/**
 * Puts bytes under a picture's id unless a picture is there; R2 itself verifies the hash.
 * @returns what is known of the object that is there now; undefined when it was erased meanwhile.
 */
async function putOnce(
  invocation: Invocation,
  id: string,
  bytes: Uint8Array<ArrayBuffer>,
  facts: StoredImage,
): Promise<StoredImage | undefined> {
  const putIf = (onlyIf: R2Conditional) =>
    invocation.bucket.put(imageKey(id), bytes, { onlyIf, sha256: facts.sha256, ...pictureMetadata(facts) });
  if (await putIf({ etagDoesNotMatch: "*" })) return facts;
  const found = await findStored(invocation, id);
  // Exactly the object that cannot be read is replaced, and no other storer's.
  if (found && !found.stored && (await putIf({ etagMatches: found.etag }))) return facts;
  return found?.stored ?? (found && (await findStored(invocation, id))?.stored);
}

/** The object under a picture's id, unless it is erased. @returns without `stored` when that cannot be read. */
async function findStored(
  invocation: Invocation,
  id: string,
): Promise<{ etag: string; stored: StoredImage | undefined } | undefined> {
  const object = await invocation.bucket.head(imageKey(id));
  if (!object || object.size === 0) return undefined;
  const [stored] = readable([object], (one) => pictureFrom(id, one), skipUnreadable(invocation));
  return { etag: object.etag, stored };
}

/** Tasks that a tick has found done, claimed in the write that says so. The tick's store lane begins each once. */
export interface FoundByTick {
  /** The lease that they have in common; 0: none. */
  leaseUntilMs: number;
  begun: Set<string>;
}

/**
 * Stores what is due; true when there may be more.
 * @param which `new`: tasks that were never attempted; `any`: those first whose links expire first.
 * @param atOnce How many to claim.
 * @param found The tasks that the tick has found done, when its lane stores.
 */
export async function storeNext(
  invocation: Invocation,
  which: "new" | "any",
  atOnce: number,
  found: FoundByTick,
): Promise<boolean> {
  const claimed = () => storeClaimed(invocation, which, atOnce);
  const begun = async () => {
    const task = await beginFound(invocation, found);
    if (task) await storeImages(invocation, task);
    return task !== undefined;
  };
  return which === "new" ? (await begun()) || (await claimed()) : (await claimed()) || (await begun());
}

/** Claims tasks and stores them, one after the other. */
async function storeClaimed(invocation: Invocation, which: "new" | "any", atOnce: number): Promise<boolean> {
  const claimedMs = invocation.now();
  const leaseUntilMs = claimedMs + storeLeaseMs;
  const skip = skipUnreadable(invocation);
  const tasks = await claimStores(invocation.db, claimedMs, leaseUntilMs, which, atOnce, skip);
  const found = tasks.length > 0;
  for (let task = tasks.shift(); task; task = tasks.shift()) {
    await storeImages(invocation, task);
    if (invocation.now() - claimedMs < beginMs) continue;
    const ids = tasks.splice(0).map(({ id }) => id);
    if (ids.length > 0) await giveBackStores(invocation.db, ids, leaseUntilMs, invocation.now());
  }
  return found;
}

async function beginFound(
  invocation: Invocation,
  { leaseUntilMs, begun }: FoundByTick,
): Promise<Task | undefined> {
  if (leaseUntilMs === 0) return undefined;
  for (;;) {
    try {
      const task = await selectFound(invocation.db, leaseUntilMs, [...begun]);
      if (!task) return undefined;
      // The other slot may have read the same.
      if (begun.has(task.id)) continue;
      begun.add(task.id);
      return task;
    } catch (error) {
      if (!(error instanceof StoredDataUnreadable)) throw error;
      // It is left to its lease, and those behind it are begun.
      begun.add(error.place.id);
      logUnreadable(invocation, error);
    }
  }
}

/** Gives back the tasks that the lane has not begun when it ends. */
export async function giveBack(invocation: Invocation, { leaseUntilMs, begun }: FoundByTick): Promise<void> {
  if (leaseUntilMs > 0) await giveBackFound(invocation.db, leaseUntilMs, [...begun], invocation.now());
}
