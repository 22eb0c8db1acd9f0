/** Around every request: its id, its log line, its timing. */
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { Invocation } from "../platform/invocation.ts";
import type { AppEnv } from "./context.ts";

/** Gives the request its id and what it reaches the outside through; logs one line when it is answered. */
export function observe(invocationFor: (ctx: ExecutionContext) => Invocation) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const invocation = invocationFor(c.executionCtx as ExecutionContext);
    const startMs = invocation.now();
    c.set("invocation", invocation);
    c.set("requestId", invocation.newId("request"));
    await next();
    const totalMs = invocation.now() - startMs;
    // Not by `c.header`, which copies a reply that is there already.
    const { headers } = c.res;
    headers.set("x-request-id", c.get("requestId"));
    // Only a caller who has shown a key learns where the time went.
    if (c.get("authenticated")) {
      const steps = Object.entries({ ...invocation.spent.ms, total: totalMs });
      headers.set("server-timing", steps.map(([name, ms]) => `${name};dur=${ms}`).join(", "));
    }
    invocation.log({
      event: "request",
      request: c.get("requestId"),
      method: c.req.method,
      // The pattern, never the path: a path can hold what is nobody's business.
      route: routePath(c, -1),
      status: c.res.status,
      code: c.get("errorCode"),
      tenant: c.get("tenantId"),
      task: c.get("taskId"),
      ms: totalMs,
      rows_read: invocation.spent.rowsRead,
      rows_written: invocation.spent.rowsWritten,
    });
  });
}
