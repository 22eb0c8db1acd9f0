import { describe, expect, it } from "vitest";
import { type TaskFailureCode, taskFailures } from "../../src/domain/failures.ts";
import {
  endStates,
  imageKey,
  imageUrl,
  isFinished,
  openStates,
  type Task,
  type TaskState,
  taskStatus,
  toSeconds,
  viewTask,
} from "../../src/domain/task.ts";
import { aPicture, aTask, t0 } from "../helpers/domain-values.ts";

const own = { api: "https://gateway.example", imageDomain: null };
const custom = { api: "https://gateway.example", imageDomain: "https://pictures.example" };

const doneMs = t0 + 31_999;
const completed = (over: Partial<Task> = {}) =>
  aTask({ state: "completed", progress: 100, finishedMs: doneMs, images: [aPicture("img-1")], ...over });

describe("the status that callers see", () => {
  const table: [TaskState, boolean, string][] = [
    ["submitting", false, "pending"],
    ["queued", false, "pending"],
    ["submitted", false, "pending"],
    ["submitted", true, "processing"],
    ["storing", false, "processing"],
    ["storing", true, "processing"],
    ["completed", true, "completed"],
    ["failed", false, "failed"],
    ["cancelled", false, "cancelled"],
  ];

  it.each(table)("of a task that is %s (upstream at work: %s) is %s", (state, processing, status) => {
    expect(taskStatus({ state, processing })).toBe(status);
    expect(viewTask(aTask({ state, processing }), own, true).status).toBe(status);
  });

  it("covers every state, and exactly the end states are finished", () => {
    expect(new Set(table.map(([state]) => state))).toEqual(new Set([...openStates, ...endStates]));
    for (const state of openStates) expect(isFinished({ state })).toBe(false);
    for (const state of endStates) expect(isFinished({ state })).toBe(true);
  });
});

describe("a task as its owner sees it", () => {
  it("has the upstream's shape and the gateway's own id and link", () => {
    expect(viewTask(aTask({ metadata: { order: "7" }, endUser: "u-1" }), own, true)).toEqual({
      id: aTask().id,
      object: "image.generation.task",
      type: "image",
      model: "wan-2.7-image",
      created: t0 / 1000,
      finished: null,
      status: "pending",
      progress: 0,
      results: [],
      images: [],
      task_info: { can_cancel: false, estimated_time: null, queue_position: null },
      usage: { images: 0, credits_held: 90, credits_charged: 0 },
      input: { prompt: "a lighthouse", n: 3, size: "square" },
      metadata: { order: "7" },
      end_user: "u-1",
      error: null,
      links: { self: `https://gateway.example/v1/tasks/${aTask().id}` },
    });
  });

  it("lists each stored picture by what its bytes are", () => {
    const images = [aPicture("img-1"), aPicture("img-2", { contentType: "image/webp", width: 1, bytes: 2 })];
    const view = viewTask(completed({ images }), own, true);
    expect(view.images).toEqual([
      {
        url: "https://gateway.example/images/img-1.png",
        width: 512,
        height: 384,
        bytes: 9_001,
        content_type: "image/png",
      },
      {
        url: "https://gateway.example/images/img-2.webp",
        width: 1,
        height: 384,
        bytes: 2,
        content_type: "image/webp",
      },
    ]);
    expect(view.results).toEqual(view.images.map((image) => image.url));
  });

  it("lists only what is stored when some pictures were lost", () => {
    const lost = { id: "img-2", state: "lost" as const };
    const view = viewTask(completed({ images: [aPicture("img-1"), lost] }), own, true);
    expect(view.results).toEqual(["https://gateway.example/images/img-1.png"]);
    expect(view.usage).toEqual({ images: 1, credits_held: 0, credits_charged: 30 });
  });

  it.each([...openStates, "failed", "cancelled"] as const)("lists no picture while it is %s", (state) => {
    const view = viewTask(aTask({ state, images: [aPicture("img-1")] }), own, true);
    expect([view.results, view.images, view.usage.images, view.usage.credits_charged]).toEqual([
      [],
      [],
      0,
      0,
    ]);
  });

  it("can be cancelled only while the upstream certainly does not have it", () => {
    for (const state of [...openStates, ...endStates]) {
      expect(viewTask(aTask({ state }), own, true).task_info.can_cancel).toBe(state === "queued");
    }
  });

  it("shows the upstream's estimate once there is one", () => {
    const view = viewTask(aTask({ state: "submitted", estimatedSeconds: 45 }), own, true);
    expect(view.task_info.estimated_time).toBe(45);
    const ended = viewTask(aTask({ state: "completed", estimatedSeconds: 45 }), own, true);
    expect(ended.task_info.estimated_time).toBeNull();
  });

  it("shows its progress as it was written, and 100 when completed", () => {
    expect(viewTask(aTask({ state: "submitted", progress: 42 }), own, true).progress).toBe(42);
    expect(viewTask(aTask({ state: "storing", progress: 99 }), own, true).progress).toBe(99);
    expect(viewTask(completed(), own, true).progress).toBe(100);
  });

  it("shows times in whole seconds, cut off and never rounded up", () => {
    const view = viewTask(completed({ createdMs: t0 + 999 }), own, true);
    expect([view.created, view.finished]).toEqual([t0 / 1000, t0 / 1000 + 31]);
    expect(toSeconds(1_999)).toBe(1);
  });

  it("says nothing of the upstream, the tenant, the key or the request", () => {
    const task = completed({
      upstreamId: "task-unified-hidden",
      images: [aPicture("img-1", { sha256: "hidden" })],
    });
    expect(JSON.stringify(task)).toContain("hidden");
    expect(JSON.stringify(viewTask(task, own, true))).not.toMatch(/hidden|unified|upstream/);
  });
});

describe("what a task's usage shows", () => {
  it.each(openStates)("while %s: every image asked for is held, none charged", (state) => {
    const { usage } = viewTask(aTask({ state, priceCredits: 75 }), own, true);
    expect(usage).toEqual({ images: 0, credits_held: 225, credits_charged: 0 });
  });

  it("when completed: nothing held, and the stored images charged at the submission's price", () => {
    const images = [aPicture("img-1"), aPicture("img-2"), aPicture("img-3")];
    const { usage } = viewTask(completed({ images, priceCredits: 75 }), own, true);
    expect(usage).toEqual({ images: 3, credits_held: 0, credits_charged: 225 });
  });

  it.each(["failed", "cancelled"] as const)("when %s: nothing held, nothing charged", (state) => {
    const { usage } = viewTask(aTask({ state, finishedMs: doneMs }), own, true);
    expect(usage).toEqual({ images: 0, credits_held: 0, credits_charged: 0 });
  });
});

describe("a failed task", () => {
  it.each(Object.keys(taskFailures) as TaskFailureCode[])("with %s says why and that it is free", (code) => {
    const { error } = viewTask(aTask({ state: "failed", errorCode: code }), own, true);
    const { message, retryable } = taskFailures[code];
    expect(error).toEqual({ code, message, type: "task_error", retryable, charged: "no" });
  });
});

describe("the URL of a picture", () => {
  it.each([
    ["image/png", "png"],
    ["image/jpeg", "jpg"],
    ["image/webp", "webp"],
  ] as const)("of type %s ends in .%s on the gateway's own route", (contentType, extension) => {
    expect(imageUrl(own, "img-1", contentType)).toBe(`https://gateway.example/images/img-1.${extension}`);
  });

  it("on an R2 custom domain is the domain and the object's key, whatever the type", () => {
    for (const contentType of ["image/png", "image/jpeg", "image/webp"] as const) {
      const url = imageUrl(custom, "img-1", contentType);
      expect(url).toBe("https://pictures.example/images/img-1");
      expect(new URL(url).pathname.slice(1)).toBe(imageKey("img-1"));
    }
  });

  it("follows the bases that a task is shown with, and leaves its other links at the API", () => {
    const view = viewTask(completed(), custom, true);
    expect(view.results).toEqual(["https://pictures.example/images/img-1"]);
    expect(view.links.self).toBe(`https://gateway.example/v1/tasks/${view.id}`);
  });
});
