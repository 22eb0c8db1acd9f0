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
import { type AppContext, type AppEnv, originOf } from "./context.ts";

const challenge = { "www-authenticate": "Bearer" };

/** The key of `Authorization: Bearer …`: empty without one, null for a header of another form. */
export function bearerKey(header = ""): string | null {
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

/** Opens `/v1` to tenants' keys and tokens. The request itself then checks that the key is still live. */
export const authenticate = createMiddleware<AppEnv>(async (c, next) => {
  const invocation = c.get("invocation");
  const link = streamedByLink(c);
  const text = link ? "" : bearer(c);
  const caller = await timed(invocation, "auth", () => (link ? callerOfLink(c, link) : callerOf(c, text)));
  if (!caller) {
    if (await invocation.tooMany("failures", networkAddress(c))) throw tooManyFrom();
    throw invalidKey;
  }
  c.set("authenticated", true);
  c.set("tenantId", caller.tenantId);
  const { origin } = caller.page;
  if (caller.kind === "secret" && origin !== null && !isOwnOrigin(c, origin)) {
    throw new ApiError(
      "secret_key_in_browser",
      "A secret key was sent from a web page of another origin, where everybody can read it. Revoke it and use a " +
        "browser key or a client token. If this is your server's proxy, have it drop the Origin header.",
    );
  }
  if (c.req.method === "GET" && (await invocation.tooMany("reads", caller.token?.id ?? caller.keyId))) {
    throw new ApiError("rate_limited", "Too many reads with this key: try again in a minute.", {
      headers: { "retry-after": "60" },
    });
  }
  c.set("caller", caller);
  await next();
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

/** The caller that holds a key or token, by its own check value; undefined for one that this gateway did not make. */
async function callerOf(c: AppContext, text: string): Promise<Caller | undefined> {
  const { signers } = c.get("invocation");
  const page = pageOf(c);
  if (text.startsWith("wct_")) {
    const token = await readToken(signers.tokens, text);
    return (
      token && { kind: "token", tenantId: token.tenantId, keyId: token.keyId, keyHash: null, token, page }
    );
  }
  const claims = await readKey(signers.keys, text);
  return claims && { ...claims, keyHash: await sha256Hex(text), token: null, page };
}

/** The caller's network address, from Cloudflare's header; null without that header, as in local development. */
export function networkAddress(c: AppContext): string | null {
  return c.req.header("cf-connecting-ip") ?? null;
}

/** The error for too many requests from one network address. */
export function tooManyFrom(): ApiError {
  return new ApiError("rate_limited", "Too many requests from this network address: try again in a minute.", {
    headers: { "retry-after": "60" },
  });
}

/** The error for a public address that has nothing: 429 where one network address asks for too many. */
export async function missed(c: AppContext, notFound: ApiError): Promise<ApiError> {
  return (await c.get("invocation").tooMany("misses", networkAddress(c))) ? tooManyFrom() : notFound;
}

function isOwnOrigin(c: AppContext, origin: string): boolean {
  return origin === originOf(c) || origin === c.get("invocation").config.PUBLIC_BASE_URL;
}

/** Opens `/admin/api` to the operator, and its `GET` calls to the read key. */
export const authenticateAdmin = createMiddleware<AppEnv>(async (c, next) => {
  const { config } = c.get("invocation");
  const key = bearer(c);
  const [isAdmin, isReader] = await timed(c.get("invocation"), "auth", () =>
    Promise.all([sameSecret(key, config.ADMIN_API_KEY), sameSecret(key, config.ADMIN_READ_KEY ?? "")]),
  );
  if (!isAdmin && !(isReader && config.ADMIN_READ_KEY)) {
    if (await c.get("invocation").tooMany("failures", networkAddress(c))) throw tooManyFrom();
    throw invalidKey;
  }
  c.set("authenticated", true);
  if (!isAdmin && c.req.method !== "GET" && c.req.method !== "HEAD") {
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
