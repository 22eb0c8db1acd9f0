/** `GET /healthz`, which does no I/O, and `GET /readyz`, which asks everything that a request needs. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { sameSecret } from "../../domain/signing.ts";
import { checkReadiness, type Readiness } from "../../flows/cron/readiness.ts";
import { bearerKey } from "../../http/authenticate.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import type { Invocation } from "../../platform/invocation.ts";

const live = createRoute({
  method: "get",
  path: "/healthz",
  operationId: "healthz",
  tags: ["Health"],
  summary: "Whether the Worker runs",
  responses: {
    200: json(z.object({ status: z.literal("ok") }).meta({ examples: [{ status: "ok" }] }), "It does."),
  },
});

const readiness = z
  .object({
    status: z.enum(["ok", "unavailable"]),
    checks: z
      .record(z.string(), z.enum(["ok", "failed"]))
      .optional()
      .meta({ description: "With the admin key only." }),
    oldest_overdue_seconds: z.int().optional().meta({ description: "With the admin key only." }),
  })
  .meta({ examples: [{ status: "ok" }] });

const ready = createRoute({
  method: "get",
  path: "/readyz",
  operationId: "readyz",
  tags: ["Health"],
  summary: "Whether database, storage and limiter answer",
  description: "An answer is kept for 10 s. Anybody may ask; the admin key is told more.",
  security: [{}, { admin: [] }],
  responses: {
    200: json(readiness, "They do."),
    503: json(readiness, "One of them does not."),
    ...errorReplies(),
  },
});

const cacheMs = 10_000;

export function healthz(api: Api): void {
  api.openapi(live, (c) => c.json({ status: "ok" as const }, 200, { "cache-control": "no-store" }));
}

export function readyz(api: Api): void {
  // An answer of this isolate's, to spare the bindings; nothing depends on it.
  let cached: Readiness | undefined;
  api.openapi(ready, async (c) => {
    const invocation = c.get("invocation");
    if (!cached || invocation.now() - cached.atMs >= cacheMs) cached = await checkReadiness(invocation);
    const status = cached.ok ? ("ok" as const) : ("unavailable" as const);
    const details = (await isAdmin(invocation, c.req.header("authorization")))
      ? { checks: cached.checks, oldest_overdue_seconds: cached.oldestOverdueSeconds }
      : {};
    return c.json({ status, ...details }, cached.ok ? 200 : 503, { "cache-control": "no-store" });
  });
}

async function isAdmin(invocation: Invocation, header: string | undefined): Promise<boolean> {
  const given = bearerKey(header) ?? "";
  const { ADMIN_API_KEY, ADMIN_READ_KEY } = invocation.config;
  const keys = [ADMIN_API_KEY, ADMIN_READ_KEY].filter((key) => key !== undefined);
  const matches = await Promise.all(keys.map((key) => sameSecret(given, key)));
  return matches.includes(true);
}
