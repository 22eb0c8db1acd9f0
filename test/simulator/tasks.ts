/** The life of an upstream task: what a read shows is a function of the task and the clock alone. */
import type { Format, Plan } from "./script.ts";
import type { Submission } from "./submission.ts";
import { fillKey } from "./wire.ts";

const EXTENSIONS: Record<Format, string> = { png: ".png", jpeg: ".jpg", webp: ".webp" };

export interface SimulatedTask {
  readonly id: string;
  readonly idempotencyKey: string | undefined;
  readonly submission: Submission;
  /** The submitted body, byte for byte, to distinguish a replay from a conflict. */
  readonly text: string;
  readonly createdMs: number;
  readonly origin: string;
  /** In every link; a link without it is refused, as a signed one would be. */
  readonly signature: string;
  plan: Plan & { seconds: number };
  reads: number;
  /** How often its links were given. */
  shown: number;
}

export interface State {
  status: string;
  progress: number;
  end: "completed" | "failed" | "cancelled" | undefined;
}

export function doneAtMs(task: SimulatedTask): number {
  return task.createdMs + task.plan.seconds * 1000;
}

export function stateOf(task: SimulatedTask, nowMs: number): State {
  const { plan } = task;
  if (nowMs >= doneAtMs(task)) {
    const status = plan.end ?? "completed";
    if (status === "completed") return { status, progress: 100, end: status };
    return { status, progress: 0, end: status === "failed" ? status : "cancelled" };
  }
  const share = (nowMs - task.createdMs) / (plan.seconds * 1000);
  const status = plan.status ?? (share < 0.1 ? "pending" : "processing");
  return { status, progress: CURVES[plan.progress ?? "linear"](share), end: undefined };
}

const CURVES: Record<NonNullable<Plan["progress"]>, (share: number) => number> = {
  linear: (share) => Math.floor(share * 100),
  frozen: (share) => Math.min(30, Math.floor(share * 100)),
  jumping: (share) => [0, 45, 45, 99][Math.floor(share * 4)] ?? 0,
  back: (share) => Math.floor((share < 0.5 ? share * 1.5 : 1 - share) * 100),
};

export function isHidden(task: SimulatedTask, nowMs: number): boolean {
  return nowMs < task.createdMs + (task.plan.hiddenSeconds ?? 0) * 1000;
}

/** The task as a reply shows it. Links given out are counted, so that fresh ones can differ. */
export function showTask(task: SimulatedTask, nowMs: number, apiKey: string): Record<string, unknown> {
  const state = stateOf(task, nowMs);
  const view = {
    created: Math.floor(task.createdMs / 1000),
    id: task.id,
    model: task.submission.model,
    object: "image.generation.task",
    progress: state.progress,
    status: state.status,
    type: "image",
    task_info: {
      can_cancel: state.end === undefined,
      estimated_time: Math.max(0, Math.ceil((doneAtMs(task) - nowMs) / 1000)),
    },
    // Not in the documentation. Real servers add fields without notice.
    region: "ap-southeast-1",
    relay: { channel: 7, attempt: 1 },
  };
  if (state.end === "completed") return { ...view, ...resultsOf(task, nowMs) };
  const shown = state.end === "failed" && task.plan.withoutError !== true;
  return shown ? { ...view, error: errorOf(task.plan, apiKey) } : view;
}

function errorOf(plan: Plan, apiKey: string): unknown {
  const code = plan.code ?? "service_error";
  return { code, message: fillKey(plan.message ?? `task failed: ${code}`, apiKey), type: "task_error" };
}

function resultsOf(task: SimulatedTask, nowMs: number): Record<string, unknown> {
  const links = task.plan.literal ?? makeLinks(task, nowMs);
  task.shown += 1;
  switch (task.plan.carrier ?? "results") {
    case "results":
      return { results: links };
    case "result_data_object":
      return { result_data: { image_url: links[0], seed: 1 } };
    case "result_data_array":
      return {
        results: [],
        result_data: links.map((link, index) => (index % 2 === 0 ? { image_url: link } : { url: link })),
      };
  }
}

function makeLinks(task: SimulatedTask, nowMs: number): string[] {
  const { plan } = task;
  const fresh = plan.links === "fresh";
  const serial = fresh ? task.shown : 0;
  const issuedMs = fresh ? nowMs : doneAtMs(task);
  const extension = plan.extension ?? EXTENSIONS[plan.format ?? "png"];
  const folder = `${plan.origin ?? task.origin}/files/${task.id}/${serial}/${issuedMs}`;
  return Array.from({ length: plan.results ?? task.submission.n }, (_, index) => {
    return `${folder}/${plan.repeated === true ? 0 : index}${extension}?sign=${task.signature}`;
  });
}
