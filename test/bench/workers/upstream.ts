/**
 * The upstream of the bench: takes every task, after a pause that can be set, and gives all of them the status that is set;
 * at first that they are pending. It does as little as an upstream can, so that what is measured is not the upstream.
 */
import { Hono } from "hono";

const app = new Hono();
let pauseMs = 0;
let taken = 0;
let word = { status: "pending", progress: 0 };

/** The least that is a whole picture. */
const picture = Uint8Array.from(
  atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="),
  (character) => character.charCodeAt(0),
);

app.post("/_pause/:ms", (c) => {
  pauseMs = Number(c.req.param("ms"));
  return c.json({ pauseMs });
});

/** What is said of every task from now on. */
app.post("/_say/:status/:progress", (c) => {
  word = { status: c.req.param("status"), progress: Number(c.req.param("progress")) };
  return c.json(word);
});

app.post("/v1/images/generations", async (c) => {
  await c.req.raw.arrayBuffer();
  if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  taken++;
  return c.json({ ...task(`task-unified-1757165031-${taken}`), status: "pending", progress: 0 });
});

app.get("/v1/tasks/:id", async (c) => {
  if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  const id = c.req.param("id");
  const results = [`${new URL(c.req.url).origin}/pictures/${id}.png`];
  return c.json({ ...task(id), ...word, ...(word.status === "completed" && { results }) });
});

app.get("/pictures/:name", (c) => {
  const headers = { "content-type": "image/png", "content-length": String(picture.length) };
  return c.body(picture, 200, headers);
});

const task = (id: string) => ({
  id,
  object: "image.generation.task",
  created: 1_757_165_031,
  model: "wan-2.7-image",
  type: "image",
  task_info: { can_cancel: true, estimated_time: 45 },
});

export default app;
