/**
 * Who may do what. A request comes with a secret key, a browser key or a client token; what each kind may do
 * at all is one table, and whether this one may now is one function, for the tenant's object and for reads
 * alike.
 */
import { isAlive, type KeyKind, type KeyScope, type StoredKey } from "./keys.ts";
import { type Model, models } from "./model-catalog.ts";
import { allowsOrigin } from "./origins.ts";
import type { TenantStatus } from "./tenant.ts";
import type { TokenClaims } from "./tokens.ts";

/** `link`: a signed link, which reads one task. */
export type CallerKind = KeyKind | "token" | "link";

export type Action =
  | "submit"
  | "read"
  | "list"
  | "cancel"
  | "upload"
  | "delete"
  /** An uploaded file. */
  | "delete_file"
  | "manage"
  | "quote"
  | "mint";

/** Where a request comes from, as far as its headers say: forged easily, so the second lock only. */
export interface Page {
  origin: string | null;
  /** `Sec-Fetch-Site: same-origin`: browsers send no `Origin` with a GET to where the page is from. */
  sameOrigin: boolean;
}

/** Who asks, by the key or token itself. */
export interface Caller {
  kind: CallerKind;
  tenantId: string;
  /** Of a token: the key that made it. */
  keyId: string;
  /** SHA-256 of the key as it was presented; null for a token or link, whose signature stands for it. */
  keyHash: string | null;
  token: TokenClaims | null;
  page: Page;
}

const publicActions: readonly Action[] = ["submit", "read", "quote"];
const scopeActions: Record<KeyScope, readonly Action[]> = {
  images: ["submit", "read", "list", "cancel", "upload", "delete", "delete_file", "quote", "mint"],
  manage: ["manage", "quote"],
};

function mayDo(caller: Caller, key: StoredKey, action: Action): boolean {
  switch (caller.kind) {
    case "secret":
      return key.scopes.some((scope) => scopeActions[scope].includes(action));
    case "browser":
      return publicActions.includes(action) || action === "mint";
    case "token":
      if (action === "list") return caller.token?.endUser != null;
      return publicActions.includes(action) || action === "upload" || action === "delete_file";
    case "link":
      return action === "read";
  }
}

export type KeyRefusal =
  | "invalid_key"
  | "tenant_suspended"
  | "scope_denied"
  | "origin_not_allowed"
  | "model_not_allowed";

/** The parts of a tenant that decide whether its keys may do anything. */
export interface Gate {
  status: TenantStatus;
  models: Model[] | null;
}

/**
 * Whether a caller whose check value is good may do this now. One answer for unknown, revoked and expired.
 * @param key The caller's key as it is stored, if it is.
 */
export function checkAccess(
  caller: Caller,
  key: StoredKey | undefined,
  tenant: Gate,
  asked: { action: Action; model?: Model },
  nowMs: number,
): KeyRefusal | undefined {
  if (!key || (caller.keyHash !== null && key.hash !== caller.keyHash)) return "invalid_key";
  if (!isAlive(key, nowMs)) return "invalid_key";
  if (caller.token && caller.token.expiresMs <= nowMs) return "invalid_key";
  if (tenant.status !== "active") return "tenant_suspended";
  if (!mayDo(caller, key, asked.action)) return "scope_denied";
  if (!fromAllowedPage(caller, key)) return "origin_not_allowed";
  if (asked.model !== undefined && !allowedModels(caller, key, tenant).includes(asked.model))
    return "model_not_allowed";
  return undefined;
}

function fromAllowedPage({ kind, token, page }: Caller, key: StoredKey): boolean {
  if (kind === "secret" || kind === "link") return true;
  if (page.origin === null) return page.sameOrigin;
  return allowsOrigin(token?.allowedOrigins ?? key.allowedOrigins, page.origin);
}

/** The models that all of tenant, key and token allow. */
export function allowedModels(caller: Caller, key: StoredKey, tenant: Gate): Model[] {
  const lists = [tenant.models, key.models, caller.token?.models ?? null];
  return models.filter((model) => lists.every((list) => list === null || list.includes(model)));
}
