/** Tasks that are over, in every way, and tasks that go on upstream or are being stored. */
import type { Json } from "../views.ts";
import { type Story, seconds } from "./story.ts";

const failures = [
  "content_policy_violation",
  "image_processing_error",
  "generation_timeout",
  // None of the codes that are known.
  "model_overloaded",
];

/** How the upstream and its file host behave, by prompt. A newer rule goes before an older one. */
export function script({ stand }: Story): void {
  const { control } = stand.simulator;
  control.script(
    // Small enough to be kept whole.
    { on: "picture", do: { kind: "serve", width: 4, height: 4 } },
    { on: "picture", match: { prompt: "dead links" }, do: { kind: "reply", status: 500 } },
    { on: "picture", match: { prompt: "one dead link", image: 1 }, do: { kind: "reply", status: 500 } },
    {
      on: "picture",
      match: { prompt: "one too large", image: 1 },
      do: { kind: "serve", padToBytes: 70_000 },
    },
    { on: "picture", match: { prompt: "all too large" }, do: { kind: "serve", padToBytes: 70_000 } },
    { on: "submit", match: { prompt: "fewer" }, do: { kind: "plan", results: 1 } },
    { on: "submit", match: { prompt: "webp" }, do: { kind: "plan", format: "webp" } },
    { on: "submit", match: { prompt: "slow" }, do: { kind: "plan", seconds: 20, progress: "linear" } },
    { on: "submit", match: { prompt: "lasts" }, do: { kind: "plan", seconds: 36_000, status: "processing" } },
    {
      on: "submit",
      match: { prompt: "waits" },
      do: { kind: "plan", seconds: 36_000, status: "queued_for_review" },
    },
    {
      on: "submit",
      match: { prompt: "refused" },
      do: { kind: "error", status: 400, code: "content_policy_violation" },
    },
    {
      on: "submit",
      match: { prompt: "no account" },
      do: { kind: "error", status: 402, code: "insufficient_quota" },
    },
    {
      on: "submit",
      match: { prompt: "no outcome" },
      do: { kind: "error", status: 500, code: "internal_error" },
    },
    { on: "submit", match: { prompt: "no reply" }, do: { kind: "hang" } },
    { on: "submit", match: { prompt: "too many" }, do: { kind: "rate_limit", retryAfter: 60 } },
    ...failures.map((code) => ({
      on: "submit" as const,
      match: { prompt: `fails: ${code}` },
      do: { kind: "plan" as const, end: "failed" as const, code },
    })),
  );
}

/** Submits all that the upstream takes, and lets it come as far as it comes. */
export async function runTasks(story: Story): Promise<void> {
  await submitThose(story);
  await submitRefused(story);
  // The first poll comes three seconds after the upstream took a task, the pictures are fetched in the same tick.
  for (let round = 0; round < 3; round++) {
    await seconds(3.2);
    await story.stand.tick();
  }
}

async function submitThose(story: Story): Promise<void> {
  const { made, submit } = story;
  const full = {
    prompt: "a lighthouse at dusk",
    n: 2,
    size: "landscape_4_3",
    negative_prompt: "people",
    seed: 7,
    enable_safety_checker: true,
    callback_url: "https://hooks.example/callback?of=1",
    metadata: { order: "1001", café: "☕" },
    end_user: "visitor-7",
  };
  const first = await submit("completed", "acme", full, { "idempotency-key": "order-1001" });
  made.replays.push({
    key: "acme",
    idempotencyKey: "order-1001",
    body: { model: "wan-2.7-image", ...full },
    task: first.id,
  });
  made.eventLinks.push(pathOfEvents(first));
  const edit = { image_urls: ["https://pictures.example/one.png", "https://pictures.example/two.png"] };
  await submit("edit", "acme", {
    ...edit,
    prompt: "image 1 in the style of image 2",
    enable_prompt_expansion: true,
  });
  await submit("own size", "acme-limited", { prompt: "a pro boat", size: { width: 2_048, height: 2_048 } });
  await submit("webp", "acme-rotated-old", { prompt: "a webp" });
  await submit("by page", "acme-page", { prompt: "a boat for a page" });
  await submit("by limited page", "acme-page-limited");
  await submit("by token", "acme-token", { n: 2 });
  await submit("fewer links", "acme-own", { prompt: "fewer", n: 3 });
  await submit("one too large", "acme", { prompt: "one too large", n: 2 });
  await submit("storage failed", "acme", { prompt: "all too large", n: 2 });
  await submit("dead links", "acme", {
    prompt: "dead links",
    n: 2,
    callback_url: "https://hooks.example/late",
  });
  await submit("one dead link", "metered", { prompt: "one dead link", n: 2 });
  await submit("never attempted", "acme", { prompt: "dead links, never attempted" });
  for (const code of failures) await submit(`failed ${code}`, "acme", { prompt: `fails: ${code}` });
  await submit("upstream waits", "acme", { prompt: "waits" });
  await submit("upstream works", "acme", { prompt: "lasts", n: 2, end_user: "visitor-8" });
  await submit("visitor-8 before", "acme", { prompt: "a boat of visitor 8", end_user: "visitor-8" });
  await submit("to be erased", "acme", { end_user: "visitor-9", metadata: { secret: "yes" } });
  await submit("being erased", "acme", {
    n: 2,
    end_user: "visitor-9",
    callback_url: "https://hooks.example/erased",
  });
  await submit("failed by hand", "acme", { prompt: "lasts, failed by hand" });
  await submit("past its deadline", "acme", { prompt: "waits, past its deadline" });
  await submit("no outcome in time", "acme", { prompt: "no outcome in time" });
  await submit("ended, not settled", "metered", { prompt: "lasts, ended" });
  await submit("metered", "metered", { n: 2, callback_url: "https://gone.example/callback" });
  await submit("metered failed", "metered", {
    prompt: "fails: generation_timeout",
    callback_url: "https://gone.example/other",
  });
  for (const n of [1, 2, 3]) await submit(`shop ${n}`, "shop");
  await submit("shop by token", "shop-token");
  await submit("shop works", "shop", { prompt: "lasts" });
  await submit("quiet", "quiet");
  await submit("paused", "paused", { prompt: "lasts, paused" });
  await submit("leaving", "leaving");
  await submit("left", "left");
}

/** Refused while their callers wait: the rows are the operator's only. */
async function submitRefused({ stand, key }: Story): Promise<void> {
  for (const [by, prompt, expect] of [
    ["acme", "refused", 422],
    ["acme", "no account", 502],
    ["metered", "refused again", 422],
  ] as const) {
    const body = { model: "wan-2.7-image", prompt };
    const refused = { body, expect: [expect, 400, 402, 403, 422, 502, 503] };
    const reply: Json = await stand.call(key(by).key, "POST", "/v1/images/generations", refused);
    if (!reply.error) throw new Error(`not refused: ${prompt}`);
  }
}

/** What an operator, a deadline and a storer that gave back come to. */
export async function endByHand(story: Story): Promise<void> {
  const { stand, task } = story;
  await stand.admin("POST", `/tasks/${task("failed by hand")}/fail`);
  // An hour passes for these alone.
  for (const scene of ["past its deadline", "no outcome in time"])
    await stand.sql("UPDATE tasks SET deadline_ms = ?2, due_ms = ?2 WHERE id = ?1", task(scene), Date.now());
  await stand.tick();
}

export function pathOfEvents(task: Json): { task: string; path: string } {
  const { pathname, search } = new URL(task.links.events);
  return { task: task.id, path: pathname + search };
}
