/** Whose request is this? Answered without touching storage, so that a forged key costs one HMAC. */
import { createMiddleware } from "hono/factory";
import { timed } from "../deps.ts";
import { tenantIdPattern } from "../domain/ids.ts";
import { readKey } from "../domain/keys.ts";
import { sameSecret, sha256Hex } from "../domain/signing.ts";
import { ApiError } from "../errors.ts";
import type { AppContext, AppEnv } from "./context.ts";

const challenge = { "www-authenticate": "Bearer" };

/** The key of `Authorization: Bearer …`: empty when there is none, null when the header says something else. */
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

const invalidKey = () => new ApiError("invalid_key", "The key is not valid.", { headers: challenge });

/** Opens `/v1` to tenant keys. Whether the key is still live is decided with the request itself. */
export const authenticate = createMiddleware<AppEnv>(async (c, next) => {
  const deps = c.get("deps");
  const key = bearer(c);
  const claims = await timed(deps, "auth", () => readKey(deps.keySigners, key));
  if (!claims) throw invalidKey();
  c.set("authenticated", true);
  c.set("tenantId", claims.tenantId);
  const origin = c.req.header("origin");
  if (origin !== undefined && !isOwnOrigin(c, origin)) {
    throw new ApiError(
      "secret_key_in_browser",
      "A secret key was sent from a web page of another origin, where everybody can read it. Revoke it and use a " +
        "browser key or a client token. If this is your server's proxy, have it drop the Origin header.",
    );
  }
  c.set("caller", { ...claims, keyHash: await sha256Hex(key) });
  await next();
});

function isOwnOrigin(c: AppContext, origin: string): boolean {
  return origin === c.get("origin") || origin === c.get("deps").config.PUBLIC_BASE_URL;
}

/** Opens `/admin/api` to the operator, and its `GET` calls to the read key. */
export const authenticateAdmin = createMiddleware<AppEnv>(async (c, next) => {
  const { config } = c.get("deps");
  const key = bearer(c);
  const [isAdmin, isReader] = await timed(c.get("deps"), "auth", () =>
    Promise.all([sameSecret(key, config.ADMIN_API_KEY), sameSecret(key, config.ADMIN_READ_KEY ?? "")]),
  );
  if (!isAdmin && !(isReader && config.ADMIN_READ_KEY)) throw invalidKey();
  c.set("authenticated", true);
  if (!isAdmin && c.req.method !== "GET" && c.req.method !== "HEAD") {
    throw new ApiError("scope_denied", "This admin key only reads.");
  }
  await next();
});

/** For the log line: the tenant that the operator's call is about. */
export const nameTenant = createMiddleware<AppEnv>(async (c, next) => {
  const id = c.req.param("id") ?? "";
  if (tenantIdPattern.test(id)) c.set("tenantId", id);
  await next();
});
