/** The control door: the same controls as in-process, over HTTP. For tests and people on one machine only. */
import { type Context, Hono } from "hono";
import * as z from "zod";
import { NAMES } from "./prompt.ts";
import { type Rule, RuleSchema } from "./script.ts";
import type { Call, TaskReport, World } from "./world.ts";

export interface Control {
  /** Adds rules; newer ones win. Throws on a bad one, and then adds none. */
  script(...rules: Rule[]): void;
  /** Moves the clock forward and returns the time. */
  advance(ms: number): number;
  now(): number;
  tasks(): TaskReport[];
  calls(): Call[];
  /** Deletes rules, tasks and calls, and sets the clock back to the given one. */
  reset(): void;
}

const ScriptSchema = z.union([RuleSchema.transform((rule) => [rule]), z.array(RuleSchema)]);
const AdvanceSchema = z.strictObject({ ms: z.number().min(0) });

export function createControl(world: World): Control {
  return {
    script: (...rules) => world.rules.add(rules),
    advance: world.advance,
    now: world.now,
    tasks: world.tasks,
    calls: world.calls,
    reset: world.reset,
  };
}

export function controlRoutes(control: Control): Hono {
  const door = new Hono();
  door.post("/script", async (c) => {
    const rules = ScriptSchema.safeParse(await jsonOf(c));
    if (!rules.success) return refuse(c, "bad_script", rules.error);
    control.script(...rules.data);
    return c.json({ added: rules.data.length });
  });
  door.post("/advance", async (c) => {
    const body = AdvanceSchema.safeParse(await jsonOf(c));
    if (!body.success) return refuse(c, "bad_advance", body.error);
    return c.json({ now: control.advance(body.data.ms) });
  });
  door.get("/tasks", (c) => c.json(control.tasks()));
  door.get("/calls", (c) => c.json(control.calls()));
  door.get("/names", (c) => {
    return c.json([...NAMES].map(([name, { means, arg, times }]) => ({ name, means, arg, times })));
  });
  door.post("/reset", (c) => {
    control.reset();
    return c.json({ now: control.now() });
  });
  return door;
}

function jsonOf(c: Context): Promise<unknown> {
  return c.req.json().catch(() => undefined);
}

function refuse(c: Context, code: string, error: z.ZodError): Response {
  return c.json({ error: { code, message: z.prettifyError(error) } }, 400);
}
