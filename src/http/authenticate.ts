/** Authentication of callers. It touches no storage, so that a forged key costs one HMAC. */
import { createMiddleware } from "hono/factory";
import type { Caller, Page } from "../domain/access.ts";
import { tenantIdPattern } from "../domain/ids.ts";
import { readKey } from "../domain/keys.ts";
import { readLink } from "../domain/signed-links.ts";
import { sameSecret, sha256Hex } from "../domain/signing.ts";
import { readToken } from "../domain/tokens.ts";
import { ApiError } from "../errors.ts";
import { timed } from "../platform/spending.ts";
import { countByKind, countCall } from "./call-limits.ts";
import { type AppContext, type AppEnv, originOf } from "./context.ts";

const challenge = { "www-authenticate": "Bearer" };

/** The key of `Authorization: Bearer …`: empty without one, null for a header of another form. */
function bearerKey(header = ""): string | null {
  if (/^(?:bearer)?$/i.test(header.trim())) return "";
  return /^bearer +(\S+)$/i.exec(header.trim())?.[1] ?? null;
}

function bearer(c: AppContext): string {
  const key = bearerKey(c.req.header("authorization"));
  if (key === "") {
    throw new ApiError("missing_key", "Send your key as Authorization: Bearer <key>.", {
      headers: challenge,
    });
  }
  return key ?? "";
}

/** One error serves all requests, since it says nothing about any. */
const invalidKey = new ApiError("invalid_key", "The key is not valid.", { headers: challenge });

/** Counts a failure of the caller's network address. @throws ApiError */
async function refuseKey(c: AppContext): Promise<never> {
  await countCall(c, "failures");
  throw invalidKey;
}

/** Opens `/v1` to tenants' keys and tokens. The request itself then checks that the key is still live. */
export const authenticate = createMiddleware<AppEnv>(async (c, next) => {
  const invocation = c.get("invocation");
  const link = streamedByLink(c);
  const text = link ? "" : bearer(c);
  const caller = await timed(invocation, "auth", () => (link ? callerOfLink(c, link) : callerOf(c, text)));
  if (!caller || invocation.badKeys.has(caller, invocation.now())) return refuseKey(c);
  c.set("authenticated", true);
  c.set("tenantId", caller.tenantId);
  await countByKind(c, caller);
  const { origin } = caller.page;
  if (caller.kind === "secret" && origin !== null && !isOwnOrigin(c, origin)) {
    throw new ApiError(
      "secret_key_in_browser",
      "A secret key was sent from a web page of another origin, where everybody can read it. Revoke it and use a " +
        "browser key or a client token. If this is your server's proxy, have it drop the Origin header.",
    );
  }
  c.set("caller", caller);
  await next();
  if (c.get("errorCode") !== "invalid_key") return;
  // D1 or the tenant's object has refused it.
  invocation.badKeys.keep(caller, invocation.now());
  const { res } = c;
  // What is thrown instead would have its headers too.
  c.res = undefined;
  await countCall(c, "failures");
  c.res = res;
});

interface UsedLink {
  taskId: string;
  token: string;
}

/** A link alone opens an event stream, since an `EventSource` sends no headers. A key takes precedence over a link. */
function streamedByLink(c: AppContext): UsedLink | undefined {
  const [, taskId] = /^\/v1\/tasks\/([^/]+)\/events$/.exec(c.req.path) ?? [];
  if (taskId === undefined || c.req.header("authorization") !== undefined) return undefined;
  const token = c.req.query("token");
  return token === undefined ? undefined : { taskId, token };
}

/** The caller that holds a link; undefined for a link that is forged, another task's or expired. */
async function callerOfLink(c: AppContext, { taskId, token }: UsedLink): Promise<Caller | undefined> {
  const invocation = c.get("invocation");
  const claims = await readLink(invocation.signers.links, taskId, token);
  if (!claims || claims.expiresMs <= invocation.now()) return undefined;
  const { tenantId, keyId } = claims;
  return { kind: "link", tenantId, keyId, keyHash: null, token: null, page: pageOf(c) };
}

function pageOf(c: AppContext): Page {
  return {
    origin: c.req.header("origin") ?? null,
    sameOrigin: c.req.header("sec-fetch-site") === "same-origin",
  };
}

/**
 * The caller that holds a key or token, by its own check value; undefined for one that this gateway did not make, and for a
 * token that has run out.
 */
async function callerOf(c: AppContext, text: string): Promise<Caller | undefined> {
  const { signers, now } = c.get("invocation");
  const page = pageOf(c);
  if (text.startsWith("wct_")) {
    const token = await readToken(signers.tokens, text);
    if (!token || token.expiresMs <= now()) return undefined;
    return { kind: "token", tenantId: token.tenantId, keyId: token.keyId, keyHash: null, token, page };
  }
  const claims = await readKey(signers.keys, text);
  return claims && { ...claims, keyHash: await sha256Hex(text), token: null, page };
}

function isOwnOrigin(c: AppContext, origin: string): boolean {
  return origin === originOf(c) || origin === c.get("invocation").config.PUBLIC_BASE_URL;
}

async function operatorOf(c: AppContext, key: string): Promise<"admin" | "reader" | undefined> {
  const { ADMIN_API_KEY, ADMIN_READ_KEY } = c.get("invocation").config;
  const [isAdmin, isReader] = await Promise.all([
    sameSecret(key, ADMIN_API_KEY),
    sameSecret(key, ADMIN_READ_KEY ?? ""),
  ]);
  if (isAdmin) return "admin";
  return isReader && ADMIN_READ_KEY ? "reader" : undefined;
}

/** Whether a request that needs no key comes with one of the operator's. @throws ApiError for too many wrong ones. */
export async function isOperators(c: AppContext): Promise<boolean> {
  const key = bearerKey(c.req.header("authorization"));
  if (key === "") return false;
  const operator = await operatorOf(c, key ?? "");
  if (!operator) await countCall(c, "failures");
  return operator !== undefined;
}

/** Opens `/admin/api` to the operator, and its `GET` calls to the read key. */
export const authenticateAdmin = createMiddleware<AppEnv>(async (c, next) => {
  const key = bearer(c);
  const operator = await timed(c.get("invocation"), "auth", () => operatorOf(c, key));
  if (!operator) return refuseKey(c);
  c.set("authenticated", true);
  if (operator === "reader" && c.req.method !== "GET" && c.req.method !== "HEAD") {
    throw new ApiError("scope_denied", "This admin key only reads.");
  }
  await next();
  c.header("cache-control", "no-store");
});

/** Names the tenant of an operator's call, for the log line. */
export const nameTenant = createMiddleware<AppEnv>(async (c, next) => {
  const id = c.req.param("id") ?? "";
  if (tenantIdPattern.test(id)) c.set("tenantId", id);
  await next();
});
