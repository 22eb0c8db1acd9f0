/** The upstream's API: submit, read, batch read, credits. */
import { Hono } from "hono";
import * as z from "zod";
import { promptRules } from "./prompt.ts";
import type { Plan, Subject } from "./script.ts";
import { promptOf, readSubmission, type Submission } from "./submission.ts";
import { isHidden, type SimulatedTask, showTask } from "./tasks.ts";
import { errorReply, passGate } from "./wire.ts";
import type { World } from "./world.ts";

const IDEMPOTENCY_KEY = /^[A-Za-z0-9._-]{16,96}$/;
const BatchSchema = z.strictObject({ task_ids: z.array(z.string()).min(1).max(50) });

export function apiRoutes(world: World): Hono {
  const api = new Hono();
  api.use("*", async (c, next) => {
    if (c.req.raw.headers.get("authorization") !== `Bearer ${world.apiKey}`) {
      return errorReply({ status: 401, code: "unauthorized", message: "Invalid token" });
    }
    await next();
    // Either name occurs; it is not documented when.
    c.res.headers.set(c.req.method === "POST" ? "x-request-id" : "x-oneapi-request-id", crypto.randomUUID());
  });
  api.post("/images/generations", (c) => submit(world, c.req.raw));
  api.post("/tasks/batch", (c) => readBatch(world, c.req.raw));
  api.get("/tasks/:id", (c) => readOne(world, c.req.param("id"), c.req.raw.signal));
  api.get("/credits", (c) => credits(world, c.req.raw.signal));
  return api;
}

async function submit(world: World, request: Request): Promise<Response> {
  const text = await request.text();
  const idempotencyKey = request.headers.get("idempotency-key") ?? undefined;
  const first = idempotencyKey === undefined ? undefined : world.taskByKey(idempotencyKey);
  const subject = { prompt: promptOf(text), idempotencyKey, task: first?.id };
  const around = { signal: request.signal, nowMs: world.now(), apiKey: world.apiKey };
  const gate = world.rules.gate("submit", subject);
  if (gate !== undefined && gate.created !== true) {
    const reply = await passGate(gate, around);
    if (reply !== undefined) return reply;
  }
  const reply = accept(world, request, text, subject);
  if (gate?.created !== true || !reply.ok) return reply;
  return (await passGate(gate, around)) ?? reply;
}

function accept(world: World, request: Request, text: string, subject: Subject): Response {
  const { idempotencyKey } = subject;
  if (idempotencyKey !== undefined && !IDEMPOTENCY_KEY.test(idempotencyKey)) {
    const message = "Idempotency-Key: 16-96 characters of A-Z a-z 0-9 . _ -";
    return errorReply({ status: 400, code: "invalid_request", message, param: "Idempotency-Key" });
  }
  const read = readSubmission(request.headers.get("content-type"), text);
  if (read.kind === "refused") return errorReply(read);
  const script = promptRules(read.submission.prompt);
  if (!script.ok) {
    return errorReply({ status: 400, code: "invalid_parameters", message: script.message, param: "prompt" });
  }
  const first = idempotencyKey === undefined ? undefined : world.taskByKey(idempotencyKey);
  if (first !== undefined && first.text !== text) {
    const message = "this Idempotency-Key was used with another body";
    return errorReply({ status: 409, code: "idempotency_conflict", message });
  }
  const task = first ?? createTask(world, request, text, read.submission, subject);
  const replayed = first !== undefined || task.plan.replayed === true;
  const usage = {
    billing_rule: "per_image",
    credits_reserved: task.submission.n * 1.32,
    user_group: "default",
  };
  const view = { ...showTask(task, world.now(), world.apiKey), usage };
  return Response.json(view, { headers: replayed ? { "idempotency-replayed": "true" } : {} });
}

function createTask(
  world: World,
  request: Request,
  text: string,
  submission: Submission,
  subject: Subject,
): SimulatedTask {
  const createdMs = world.now();
  const random = crypto.randomUUID().replaceAll("-", "");
  const task: SimulatedTask = {
    id: `task-unified-${Math.floor(createdMs / 1000)}-${random.slice(0, 10)}`,
    idempotencyKey: subject.idempotencyKey,
    submission,
    text,
    createdMs,
    origin: world.filesOrigin ?? new URL(request.url).origin,
    signature: random.slice(10),
    plan: { seconds: world.defaultSeconds },
    reads: 0,
    shown: 0,
  };
  changePlan(task, world.rules.shaper("submit", subject));
  world.addTask(task);
  return task;
}

function changePlan(task: SimulatedTask, change: Plan | undefined): void {
  task.plan = { ...task.plan, ...change, seconds: change?.seconds ?? task.plan.seconds };
}

async function readOne(world: World, id: string, signal: AbortSignal): Promise<Response> {
  const blocked = await blockRead(world, id, signal);
  if (blocked !== undefined) return blocked;
  const view = poll(world, id);
  if (view !== undefined) return Response.json(view);
  return errorReply({ status: 404, code: "task_not_found", message: "Task not found", param: "id" });
}

/** Undocumented upstream. A gate that matches one of the ids holds for the whole call. */
async function readBatch(world: World, request: Request): Promise<Response> {
  const body = BatchSchema.safeParse(await request.json().catch(() => undefined));
  if (!body.success) return errorReply({ status: 400, code: "invalid_parameters", param: "task_ids" });
  for (const id of body.data.task_ids) {
    const blocked = await blockRead(world, id, request.signal);
    if (blocked !== undefined) return blocked;
  }
  const known = body.data.task_ids.map((id) => poll(world, id)).filter((view) => view !== undefined);
  return Response.json({ object: "list", data: known });
}

async function blockRead(world: World, id: string, signal: AbortSignal): Promise<Response | undefined> {
  const task = world.taskById(id);
  if (task !== undefined) task.reads += 1;
  const gate = world.rules.gate("read", subjectOf(id, task));
  if (gate === undefined) return undefined;
  return passGate(gate, { signal, nowMs: world.now(), apiKey: world.apiKey });
}

function poll(world: World, id: string): Record<string, unknown> | undefined {
  const task = world.taskById(id);
  if (task === undefined || isHidden(task, world.now())) return undefined;
  changePlan(task, world.rules.shaper("read", subjectOf(id, task)));
  return showTask(task, world.now(), world.apiKey);
}

function subjectOf(id: string, task: SimulatedTask | undefined): Subject {
  return { task: id, prompt: task?.submission.prompt, idempotencyKey: task?.idempotencyKey };
}

async function credits(world: World, signal: AbortSignal): Promise<Response> {
  const gate = world.rules.gate("credits", {});
  const around = { signal, nowMs: world.now(), apiKey: world.apiKey };
  const blocked = gate === undefined ? undefined : await passGate(gate, around);
  if (blocked !== undefined) return blocked;
  return Response.json({
    success: true,
    data: {
      user: { remaining_credits: 9876.54, group: "default" },
      token: { name: "simulator", remaining_credits: 1234.5, unlimited: false },
    },
  });
}
