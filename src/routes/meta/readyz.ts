/** `GET /readyz`: whether everything answers that a request needs. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { checkReadiness, type Readiness } from "../../flows/cron/readiness.ts";
import { isOperators } from "../../http/authenticate.ts";
import type { Api } from "../../http/context.ts";
import { errorReplies, json } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";

const readiness = documented(() =>
  z
    .object({
      status: z.enum(["ok", "unavailable"]),
      checks: z
        .record(z.string(), z.enum(["ok", "failed"]))
        .optional()
        .meta({ description: "With the admin key only." }),
      oldest_overdue_seconds: z.int().optional().meta({ description: "With the admin key only." }),
      oldest_overdue_erasure_seconds: z.int().optional().meta({ description: "With the admin key only." }),
      migrations_missing: z
        .array(z.string())
        .optional()
        .meta({ description: "With the admin key only: what the database lacks. Apply it." }),
    })
    .meta({ examples: [{ status: "ok" }] }),
);

const contract = createRoute({
  method: "get",
  path: "/readyz",
  operationId: "readyz",
  security: [{}, { admin: [] }],
  ...documented(() => ({
    tags: ["Health"],
    summary: "Whether database, storage and limiter answer",
    description:
      "An answer is kept for 10 s. Without a key it is the status alone; the admin key reads the checks too.",
    responses: {
      200: json(readiness, "They do."),
      503: json(readiness, "One of them does not."),
      ...errorReplies("invalid_request", "rate_limited"),
    },
  })),
});

const cacheMs = 10_000;

export function readyz(api: Api): void {
  // The isolate keeps an answer to spare the bindings. Nothing depends on it.
  let cached: Readiness | undefined;
  api.openapi(contract, async (c) => {
    const invocation = c.get("invocation");
    const isOperator = await isOperators(c);
    if (!cached || invocation.now() - cached.atMs >= cacheMs) cached = await checkReadiness(invocation);
    const status = cached.ok ? ("ok" as const) : ("unavailable" as const);
    const details = isOperator
      ? {
          checks: cached.checks,
          oldest_overdue_seconds: cached.oldestOverdueSeconds,
          oldest_overdue_erasure_seconds: cached.oldestErasureSeconds,
          migrations_missing: cached.missingMigrations,
        }
      : {};
    return c.json({ status, ...details }, cached.ok ? 200 : 503, notStored);
  });
}
