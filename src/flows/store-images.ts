/**
 * Storing a task's pictures and ending it. Two storers of one task may meet when the first one's lease ran out:
 *
 *   storer A                            storer B
 *   1. fetches, slowly
 *                                       2. claims, fetches, puts under the recorded id: created
 *                                       3. finish → completed
 *   4. puts under the same id: it is there already, so it reads what is known of it and takes that
 *   5. finish → changes nothing
 *
 * and when A dies after its put, B finds the object in the same way. One object per picture, whoever wins.
 */
import type { Deps } from "../deps.ts";
import { isComplete, readImage } from "../domain/image.ts";
import { sha256Hex } from "../domain/signing.ts";
import {
  type ImageContentType,
  imageKey,
  type StoredImage,
  type Task,
  type TaskImage,
} from "../domain/task.ts";
import { claimStores } from "../store/due.ts";
import { postponeStoring } from "../store/tasks.ts";
import { fetchPicture } from "./fetch-picture.ts";
import { finish } from "./finish.ts";
import { inParallel } from "./parallel.ts";

/** Longer than three waves of fetches, each with its own time limit. */
export const storeLeaseMs = 120_000;
/** Pictures of one task under way, and tasks of one lane: together they bound the memory. */
const picturesAtOnce = 2;
const tasksAtOnce = 2;
const maxPauseMs = 600_000;

/** Stores what is still wanted of a task that the caller holds the lease of, and ends it when nothing is. */
export async function storeImages(deps: Deps, task: Task): Promise<void> {
  const images = await inParallel(task.images, picturesAtOnce, (image) => storeImage(deps, task, image));
  const open = images.some((image) => image.state === "wanted") && deps.now() < (task.linksDieMs ?? 0);
  if (open) {
    const pauseMs = Math.min(maxPauseMs, 2 ** Math.min(task.attempts, 12) * 1000);
    await postponeStoring(deps.db, task, images, deps.now() + pauseMs);
    return;
  }
  const stored = images.filter((image) => image.state === "stored");
  const ended = stored.length > 0 ? { state: "completed" as const, errorCode: null } : failure;
  await finish(deps, [{ id: task.id, from: ["storing"], images: stored, ...ended }]);
}

const failure = { state: "failed", errorCode: "storage_failed" } as const;

async function storeImage(deps: Deps, task: Task, image: TaskImage): Promise<TaskImage> {
  if (image.state !== "wanted" || !image.source) return image;
  // An earlier try may have put it and died before it could say so.
  const found = task.attempts > 1 ? await readStored(deps, image.id) : undefined;
  if (found) return { ...image, state: "stored", stored: found };
  const fetched = await fetchPicture(deps, image.source);
  if (fetched.kind === "problem") return notStored(deps, task, image, fetched.problem, fetched.final);
  const facts = readImage(fetched.bytes);
  if (!facts) return notStored(deps, task, image, "no PNG, JPEG or WebP", false);
  if (!isComplete(fetched.bytes, facts.contentType)) return notStored(deps, task, image, "incomplete", false);
  const sha256 = await sha256Hex(fetched.bytes);
  const stored = await putOnce(deps, image.id, fetched.bytes, {
    ...facts,
    bytes: fetched.bytes.length,
    sha256,
  });
  return stored ? { ...image, state: "stored", stored } : notStored(deps, task, image, "erased", true);
}

function notStored(deps: Deps, task: Task, image: TaskImage, problem: string, final: boolean): TaskImage {
  // Which picture, by number: its id is the key to its URL.
  const picture = task.images.indexOf(image);
  deps.log({ event: "picture_not_stored", task: task.id, picture, attempt: task.attempts, problem, final });
  return final ? { ...image, state: "lost" } : image;
}

/**
 * Puts bytes under a picture's id unless something is there; R2 itself verifies the hash.
 * @returns what is known of the object that is there now; undefined when it was erased meanwhile.
 */
async function putOnce(
  deps: Deps,
  id: string,
  bytes: Uint8Array<ArrayBuffer>,
  facts: StoredImage,
): Promise<StoredImage | undefined> {
  const put = await deps.bucket.put(imageKey(id), bytes, {
    onlyIf: { etagDoesNotMatch: "*" },
    sha256: facts.sha256,
    httpMetadata: { contentType: facts.contentType, cacheControl: "public, max-age=31536000, immutable" },
    customMetadata: { width: String(facts.width), height: String(facts.height), sha256: facts.sha256 },
  });
  return put ? facts : readStored(deps, id);
}

async function readStored(deps: Deps, id: string): Promise<StoredImage | undefined> {
  const object = await deps.bucket.head(imageKey(id));
  if (!object || object.size === 0) return undefined;
  return {
    contentType: object.httpMetadata?.contentType as ImageContentType,
    width: Number(object.customMetadata?.width),
    height: Number(object.customMetadata?.height),
    bytes: object.size,
    sha256: object.customMetadata?.sha256 ?? "",
  };
}

/** Claims and stores what is due, once; true when there may be more. */
export async function storeDue(deps: Deps): Promise<boolean> {
  const claimed = await claimStores(deps.db, deps.now(), deps.now() + storeLeaseMs, tasksAtOnce);
  await inParallel(claimed, tasksAtOnce, (task) => storeImages(deps, task));
  return claimed.length > 0;
}
