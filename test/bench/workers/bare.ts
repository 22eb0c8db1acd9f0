/**
 * What the gateway is measured against: for each case the least that any Worker could do, in the same process and by the
 * same clock.
 */
import { type Context, Hono } from "hono";
import type { AdmitRequest, BeginDecision, RowWanted } from "../../../src/tenant/decide.ts";

interface BareEnv {
  DB: D1Database;
  IMAGES: R2Bucket;
  /** The gateway's own objects, asked without the gateway. */
  TENANTS: DurableObjectNamespace;
  UPSTREAM_API_KEY: string;
  UPSTREAM_BASE_URL: string;
}

const app = new Hono<{ Bindings: BareEnv }>();

/** An empty route. */
app.get("/empty", (c) => c.json({ ok: true }));

/** An empty route that writes a line of the gateway's length to the log. */
app.get("/logged", (c) => {
  const request = `req-${crypto.randomUUID()}`;
  const line = { event: "request", request, method: c.req.method, route: "/v1/tasks/:id", status: 200 };
  console.log(JSON.stringify({ ...line, code: "invalid_key", ms: 0, rows_read: 0, rows_written: 0 }));
  return c.json({ ok: true });
});

/** Swaps the key and forwards: hiding a key takes at least this. */
app.post("/v1/images/generations", forward);

/** Forwards between two calls to a tenant's object that do nothing: exact limits and a ledger take at least this. */
app.post("/called/:tenant", async (c) => {
  const tenant = () =>
    c.env.TENANTS.getByName(c.req.param("tenant")) as unknown as { ping(): Promise<unknown> };
  await tenant().ping();
  const reply = await forward(c);
  c.executionCtx.waitUntil(tenant().ping());
  return reply;
});

function forward(c: Context<{ Bindings: BareEnv }>): Promise<Response> {
  const headers = new Headers(c.req.raw.headers);
  headers.set("authorization", `Bearer ${c.env.UPSTREAM_API_KEY}`);
  const url = `${c.env.UPSTREAM_BASE_URL}/v1/images/generations`;
  return fetch(url, { method: "POST", headers, body: c.req.raw.body, redirect: "manual" });
}

/** One row, with a text key and one secondary index. */
app.post("/rows", async (c) => {
  await c.env.DB.prepare("INSERT INTO bare (id, made_ms, body) VALUES (?1, ?2, ?3)")
    .bind(crypto.randomUUID(), Date.now(), await c.req.text())
    .run();
  return c.json({ ok: true });
});

app.get("/rows/:id", async (c) => {
  const row = await c.env.DB.prepare("SELECT * FROM bare WHERE id = ?1").bind(c.req.param("id")).first();
  return c.json(row);
});

app.get("/objects/:id", async (c) => {
  const object = await c.env.IMAGES.get(`images/${c.req.param("id")}`);
  if (!object) return c.notFound();
  const headers = {
    "content-type": "image/png",
    "content-length": String(object.size),
    etag: object.httpEtag,
  };
  return new Response(object.body, { headers });
});

/** Asks a tenant's object to admit one image, and nothing else. */
app.post("/admissions/:tenant/:key", async (c) => {
  const { tenant, key } = c.req.param();
  const request: AdmitRequest = {
    caller: {
      kind: "secret",
      tenantId: tenant,
      keyId: key,
      keyHash: c.req.header("x-key-hash") ?? null,
      token: null,
      page: { origin: null, sameOrigin: false },
    },
    taskId: `task-${crypto.randomUUID()}`,
    model: "wan-2.7-image",
    images: 1,
    price: 30,
    replay: null,
    isRepeated: false,
    nowMs: Date.now(),
  };
  const object = c.env.TENANTS.getByName(tenant) as unknown as {
    begin(asked: AdmitRequest, row: RowWanted): Promise<BeginDecision>;
  };
  const { tenantId, keyId } = request.caller;
  const createdMs = request.nowMs;
  const { kind } = await object.begin(request, {
    task: {
      ...{
        tenantId,
        keyId,
        tokenId: null,
        requestId: "req-1",
        origin: "https://bare.example",
        endUser: null,
      },
      ...{ input: { prompt: "a lighthouse", n: 1 }, metadata: {} },
      ...{ createdMs, deadlineMs: createdMs + 3_600_000, dueMs: createdMs + 60_000 },
    },
    lowId: "",
  });
  return c.json({ kind }, kind === "admitted" ? 200 : 500);
});

export default app;
