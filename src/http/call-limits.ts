/**
 * How calls are limited before anything is read from storage: what each route behind a tenant's key counts as, and the
 * refusal of one call too many. Figures are in `wrangler.toml`.
 */
import { routePath } from "hono/route";
import type { Caller } from "../domain/access.ts";
import { addressGroup } from "../domain/address.ts";
import { ApiError } from "../errors.ts";
import type { EdgeLimit } from "../platform/edge-limits.ts";
import type { AppContext } from "./context.ts";

/** `submits`: those that the tenant's object counts exactly, replays and refused ones too. */
type CallKind = "reads" | "lists" | "writes" | "mints" | "manage" | "revokes" | "submits";

/** By method and path, as the app registers them. `HEAD` counts as `GET`. */
export const callKinds: Record<string, CallKind> = {
  "POST /v1/images/generations": "submits",
  "POST /v1/files": "submits",
  "POST /openai/v1/images/generations": "submits",
  "POST /openai/v1/images/edits": "submits",
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
  "DELETE /v1/keys/:key": "revokes",
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
  reads: "reads with this key or token",
  lists: "lists and statements with this key or token",
  writes: "cancellations, deletions and deliveries with this key or token",
  mints: "client tokens by this key",
  tenantCalls: "calls with this tenant's keys",
  tenantLists: "lists and statements with this tenant's keys",
  submits: "submissions with this key or token",
  editReplays: "edits under an Idempotency-Key that was used before, with this key or token",
  manage: "changes with this key",
  revokes: "revocations with this key",
  tenantSubmits: "submissions with this tenant's keys",
  tenantChanges: "changes of this tenant's keys and webhook",
  visits: "calls with this page's key from this network address",
  visitorLists: "lists with this page's key from this network address",
  visitorSubmits: "submissions with this page's key from this network address",
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

export function tooManyOf(limit: EdgeLimit): ApiError {
  return new ApiError("rate_limited", `Too many ${limited[limit]}: try again in a minute.`, {
    headers: { "retry-after": "60" },
  });
}

/** Counts a request for what there is not by the caller's network address, and says whether that makes too many. */
export function hasMissedTooMuch(c: AppContext): Promise<boolean> {
  return c.get("invocation").tooMany("misses", networkAddress(c));
}

/** The error for a public address that has nothing: 429 where one network address asks for too many. */
export async function missed(c: AppContext, notFound: ApiError): Promise<ApiError> {
  return (await hasMissedTooMuch(c)) ? tooManyOf("misses") : notFound;
}

/** What counts those of all of a tenant's keys. Changes count once the key is known to be one that may make them. */
const together: Record<CallKind, EdgeLimit | null> = {
  ...{ reads: "tenantCalls", writes: "tenantCalls", mints: "tenantCalls", lists: "tenantLists" },
  ...{ submits: "tenantSubmits", manage: null, revokes: null },
};

/** What counts a visitor's by network address, so that none uses up the key that a page gives to all of them. */
const ofVisitors: Partial<Record<CallKind, EdgeLimit>> = { lists: "visitorLists", submits: "visitorSubmits" };

/** Method and path of a request's route, as the app registers them. `HEAD` is `GET`. */
export const routeName = (c: AppContext): string =>
  `${c.req.method === "HEAD" ? "GET" : c.req.method} ${routePath(c, -1)}`;

// What the table lacks is no route, and answers 404 or 405.
const kindOf = (c: AppContext): CallKind => callKinds[routeName(c)] ?? "reads";

/** Counts a call whose key, token or link is good by itself, as what its route is. @throws ApiError where it is too many. */
export async function countByKind(c: AppContext, { kind, tenantId, keyId, token }: Caller): Promise<void> {
  // Addresses come first: what one of them is refused takes nothing of what others share.
  if (kind === "link") {
    await countCall(c, "linkAddresses");
    return countCall(c, "links", c.req.path);
  }
  const counted = kindOf(c);
  const address = networkAddress(c);
  if (kind !== "secret" && address !== null) {
    if (counted === "mints") await countCall(c, "tokens", address);
    else await countCall(c, ofVisitors[counted] ?? "visits", `${tenantId} ${keyId} ${addressGroup(address)}`);
  }
  await countCall(c, counted, `${tenantId} ${token?.id ?? keyId}`);
  const all = together[counted];
  // Visitors take nothing of what is their tenant's.
  if (all) await countCall(c, all, `${tenantId} ${kind === "secret" ? "keys" : "visitors"}`);
}

/** Counts a change by a key that may make it. @throws ApiError where the tenant makes too many. */
export async function countChange(c: AppContext): Promise<void> {
  if (kindOf(c) === "manage") await countCall(c, "tenantChanges", c.get("caller").tenantId);
}
