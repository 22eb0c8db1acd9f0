/**
 * CORS (Fetch standard, 3.2). Any origin gets its preflight answered, without a key and without storage. `hono/cors` has
 * one rule for the origin, where replies here name it, and preflights, errors and pictures say `*`.
 */
import { createMiddleware } from "hono/factory";
import type { AppEnv } from "./context.ts";

const exposed = [
  "Location",
  "Retry-After",
  "ETag",
  "RateLimit",
  "RateLimit-Policy",
  "x-ratelimit-limit-requests",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-reset-requests",
  "x-request-id",
  "x-should-retry",
  "x-task-id",
  "Idempotency-Replayed",
  "Preference-Applied",
  "Server-Timing",
].join(", ");

export const cors = createMiddleware<AppEnv>(async (c, next) => {
  if (c.req.method === "OPTIONS") {
    return c.body(null, 204, {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, HEAD, POST, DELETE, OPTIONS",
      "access-control-allow-headers": c.req.header("access-control-request-headers") ?? "*",
      "access-control-max-age": "7200",
      vary: "Access-Control-Request-Headers",
    });
  }
  await next();
  const origin = c.req.header("origin");
  const { headers } = c.res;
  // Errors and pictures say `*` themselves.
  if (origin !== undefined && !headers.has("access-control-allow-origin")) {
    headers.set("access-control-allow-origin", origin);
    headers.append("vary", "Origin");
  }
  headers.set("access-control-expose-headers", exposed);
  return undefined;
});
