/**
 * The upstream of the bench: takes every task, after a pause that can be set, and has nothing more to say of it. It does
 * as little as an upstream can, so that what is measured is not the upstream.
 */
import { Hono } from "hono";

const app = new Hono();
let pauseMs = 0;
let taken = 0;

app.post("/_pause/:ms", (c) => {
  pauseMs = Number(c.req.param("ms"));
  return c.json({ pauseMs });
});

app.post("/v1/images/generations", async (c) => {
  await c.req.raw.arrayBuffer();
  if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  taken++;
  return c.json(task(`task-unified-1757165031-${taken}`));
});

app.get("/v1/tasks/:id", async (c) => {
  if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  return c.json(task(c.req.param("id")));
});

const task = (id: string) => ({
  id,
  object: "image.generation.task",
  created: 1_757_165_031,
  model: "wan-2.7-image",
  type: "image",
  status: "pending",
  progress: 0,
  task_info: { can_cancel: true, estimated_time: 45 },
});

export default app;
