/** Around every request: its id, its log line, its timing. */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { Invocation } from "../platform/invocation.ts";
import type { AppEnv } from "./context.ts";

/** The most frequent requests, of which most lines say the same. */
const sampledRoutes = ["/v1/tasks/:id", "/images/:file"];
const slowMs = 1_000;

/** Gives the request its id and its invocation, and logs one line once it is answered; of successful reads one in some. */
export function observe(invocationFor: (ctx: ExecutionContext) => Invocation) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const invocation = invocationFor(c.executionCtx as ExecutionContext);
    const startMs = invocation.now();
    c.set("invocation", invocation);
    c.set("requestId", invocation.newId("request"));
    await next();
    const totalMs = invocation.now() - startMs;
    // `c.header` would copy the reply.
    const { headers } = c.res;
    headers.set("x-request-id", c.get("requestId"));
    // Timing is for callers with a valid key alone.
    if (c.get("authenticated")) {
      const steps = Object.entries({ ...invocation.spent.ms, total: totalMs });
      headers.set("server-timing", steps.map(([name, ms]) => `${name};dur=${ms}`).join(", "));
    }
    const oneIn = isSampled(c, totalMs) ? invocation.config.LOG_READS : 1;
    if (oneIn > 1 && invocation.random() >= 1 / oneIn) return;
    invocation.log({
      event: "request",
      request: c.get("requestId"),
      method: c.req.method,
      // The pattern, since a path can hold personal data.
      route: routePath(c, -1),
      status: c.res.status,
      code: c.get("errorCode"),
      tenant: c.get("tenantId"),
      task: c.get("taskId"),
      ms: totalMs,
      rows_read: invocation.spent.rowsRead,
      rows_written: invocation.spent.rowsWritten,
      // How many such requests this line stands for.
      ...(oneIn > 1 && { one_in: oneIn }),
    });
  });
}

/** Whether the request is a quick and successful read of a task or picture. */
function isSampled(c: Context<AppEnv>, totalMs: number): boolean {
  if (c.req.method !== "GET" && c.req.method !== "HEAD") return false;
  return c.res.status < 400 && totalMs < slowMs && sampledRoutes.includes(routePath(c, -1));
}
