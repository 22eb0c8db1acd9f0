/** Builders of what the tests of the rules are about; each fills in a plain case. */
import type { PollTarget, UpstreamTask } from "../../src/domain/poll.ts";
import type { StoredImage, Task, TaskImage } from "../../src/domain/task.ts";

export const t0 = 1_900_000_000_000;

export function aTask(over: Partial<Task> = {}): Task {
  return {
    id: `task-${"0".repeat(30)}a`,
    tenantId: "tenant-hidden",
    keyId: "key-hidden",
    tokenId: null,
    requestId: "req-hidden",
    origin: "https://origin-hidden.example",
    state: "submitting",
    version: 1,
    model: "wan-2.7-image",
    input: { prompt: "a lighthouse", n: 3, size: "square" },
    metadata: {},
    endUser: null,
    priceCredits: 30,
    createdMs: t0,
    deadlineMs: t0 + 3_600_000,
    finishedMs: null,
    dueMs: t0 + 60_000,
    attempts: 1,
    uncertain: false,
    upstreamId: null,
    submittedMs: null,
    refreshedMs: 0,
    processing: false,
    progress: 0,
    estimatedSeconds: null,
    images: [],
    upstreamLinksExpireMs: null,
    errorCode: null,
    hidden: false,
    holdNumber: null,
    erased: false,
    ...over,
  };
}

export function storedImage(over: Partial<StoredImage> = {}): StoredImage {
  return { contentType: "image/png", width: 512, height: 384, bytes: 9_001, sha256: "f".repeat(64), ...over };
}

/** A picture of a task: stored unless given otherwise. */
export function aPicture(id: string, stored: Partial<StoredImage> = {}): TaskImage {
  return {
    id,
    source: "https://upstream-hidden.example/a.png",
    state: "stored",
    stored: storedImage(stored),
  };
}

/** A task as a poll takes it. */
export function makePollTarget(over: Partial<PollTarget> = {}): PollTarget {
  return {
    id: "task-1",
    upstreamId: "task-unified-1",
    deadlineMs: t0 + 3_600_000,
    processing: false,
    progress: 0,
    estimatedSeconds: null,
    state: "submitted",
    createdMs: t0,
    imagesAsked: 2,
    isRead: true,
    ...over,
  };
}

/** What the upstream says of a task. */
export function seen(over: Partial<UpstreamTask> = {}): UpstreamTask {
  return { status: "pending", progress: null, estimatedSeconds: null, links: [], failure: null, ...over };
}
