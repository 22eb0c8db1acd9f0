/**
 * How calls are limited before anything is read from storage: what each route behind a tenant's key counts as, and the
 * refusal of one call too many. Figures are in `wrangler.toml`.
 */
import { routePath } from "hono/route";
import type { Caller } from "../domain/access.ts";
import { ApiError } from "../errors.ts";
import type { EdgeLimit } from "../platform/edge-limits.ts";
import type { AppContext } from "./context.ts";

/** `object`: counted exactly, by the tenant's object. */
type CallKind = "reads" | "lists" | "writes" | "mints" | "manage" | "object";

/** By method and path, as the app registers them. `HEAD` counts as `GET`. */
export const callKinds: Record<string, CallKind> = {
  "POST /v1/images/generations": "object",
  "POST /v1/files": "object",
  "POST /openai/v1/images/generations": "object",
  "POST /openai/v1/images/edits": "object",
  "GET /v1/tasks/:id": "reads",
  "GET /v1/tasks/:id/events": "reads",
  "GET /v1/models": "reads",
  "GET /openai/v1/models": "reads",
  "POST /v1/quote": "reads",
  "GET /v1/webhook": "reads",
  "GET /v1/tasks": "lists",
  "GET /v1/usage": "lists",
  "GET /v1/ledger": "lists",
  "GET /v1/keys": "lists",
  "GET /v1/webhook/deliveries": "lists",
  "POST /v1/tasks/:id/cancel": "writes",
  "DELETE /v1/tasks/:id": "writes",
  "DELETE /v1/files/:id": "writes",
  "DELETE /v1/end-users/:id": "writes",
  "POST /v1/webhook/deliveries/:id/retry": "writes",
  "POST /v1/client-tokens": "mints",
  "POST /v1/keys": "manage",
  "POST /v1/keys/:key/rotate": "manage",
  "DELETE /v1/keys/:key": "manage",
  "PUT /v1/webhook": "manage",
  "PATCH /v1/webhook": "manage",
  "DELETE /v1/webhook": "manage",
  "POST /v1/webhook/rotate": "manage",
};

/** What a refusal names. */
const limited: Record<EdgeLimit, string> = {
  submissions: "submissions from this network address",
  uploads: "uploads from this network address",
  tokens: "client tokens for this network address",
  failures: "refused keys from this network address",
  misses: "pictures and files that are not there, from this network address",
  reads: "reads with this key",
  lists: "lists and statements with this key",
  writes: "cancellations, deletions and deliveries with this key",
  mints: "client tokens by this key",
  tenantCalls: "calls with this tenant's keys",
  tenantLists: "lists and statements with this tenant's keys",
  manage: "changes of this tenant's keys and webhook",
  links: "streams by this link",
  linkAddresses: "streams by links from this network address",
};

/** The caller's network address, from Cloudflare's header; null without that header, as in local development. */
export function networkAddress(c: AppContext): string | null {
  return c.req.header("cf-connecting-ip") ?? null;
}

/** Counts one more. @throws ApiError where it is too many. */
export async function countCall(
  c: AppContext,
  limit: EdgeLimit,
  by: string | null = networkAddress(c),
): Promise<void> {
  if (await c.get("invocation").tooMany(limit, by)) throw tooManyOf(limit);
}

function tooManyOf(limit: EdgeLimit): ApiError {
  return new ApiError("rate_limited", `Too many ${limited[limit]}: try again in a minute.`, {
    headers: { "retry-after": "60" },
  });
}

/** The error for a public address that has nothing: 429 where one network address asks for too many. */
export async function missed(c: AppContext, notFound: ApiError): Promise<ApiError> {
  return (await c.get("invocation").tooMany("misses", networkAddress(c))) ? tooManyOf("misses") : notFound;
}

/** Counts a call whose key, token or link is good by itself, as what its route is. @throws ApiError where it is too many. */
export async function countByKind(c: AppContext, { kind, tenantId, keyId, token }: Caller): Promise<void> {
  if (kind === "link") {
    await countCall(c, "links", c.req.path);
    return countCall(c, "linkAddresses");
  }
  const method = c.req.method === "HEAD" ? "GET" : c.req.method;
  // What the table lacks is no route, and answers 404 or 405.
  const counted = callKinds[`${method} ${routePath(c, -1)}`] ?? "reads";
  if (counted === "object") return;
  // The keys of pages may not manage, and use up nothing of their tenant's.
  const holder = counted === "manage" && kind === "secret" ? "" : (token?.id ?? keyId);
  await countCall(c, counted, `${tenantId} ${holder}`);
  if (counted === "manage") return;
  // Visitors take nothing of what is their tenant's.
  const together = `${tenantId} ${kind === "secret" ? "keys" : "visitors"}`;
  await countCall(c, counted === "lists" ? "tenantLists" : "tenantCalls", together);
}
