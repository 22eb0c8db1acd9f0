/**
 * Minting client tokens: for a tenant's server as it asks, and for a page with a browser key whose visitor has solved a
 * Turnstile challenge, within what the key allows.
 */

import type { KnownKey } from "../../d1/tenants/keys.ts";
import { allowedModels, type Caller, type KeyRefusal } from "../../domain/access.ts";
import type { Model } from "../../domain/model-catalog.ts";
import { stoppedAfter } from "../../domain/time-limit.ts";
import { formatToken, type TokenClaims } from "../../domain/tokens.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { authorize } from "./authorize.ts";

/** A token as a tenant's server asks for it. */
export interface WantedToken {
  ttlSeconds: number;
  maxImages: number;
  allowedOrigins: string[];
  models: Model[] | null;
  endUser: string | null;
}

export type Minted =
  | { kind: "minted"; token: string; expiresMs: number }
  | { kind: "key_refused"; refusal: KeyRefusal }
  /** Turnstile did not accept the answer. */
  | { kind: "challenge_failed" }
  /** The tenant has no Turnstile secret. */
  | { kind: "no_turnstile" };

/** Mints a token by a secret key. */
export async function mintToken(
  invocation: Invocation,
  caller: Caller,
  wanted: WantedToken,
): Promise<Minted> {
  const authorized = await authorize(invocation, caller, { action: "mint" });
  if (authorized.kind === "key_refused") return authorized;
  const { known } = authorized;
  const allowed = allowedModels(caller, known.key, known.tenant);
  if (wanted.models?.some((model) => !allowed.includes(model))) {
    return { kind: "key_refused", refusal: "model_not_allowed" };
  }
  return mint(invocation, caller, known, wanted);
}

/**
 * Mints a token by a browser key.
 * @param answer What Turnstile gave the page.
 * @throws BindingUnavailable when Turnstile does not answer.
 */
export async function mintByTurnstile(
  invocation: Invocation,
  caller: Caller,
  answer: string,
  ip: string | null,
): Promise<Minted> {
  const authorized = await authorize(invocation, caller, { action: "mint" });
  if (authorized.kind === "key_refused") return authorized;
  const { key, tenant } = authorized.known;
  if (tenant.turnstileSecret === null) return { kind: "no_turnstile" };
  if (!(await isSolved(invocation, tenant.turnstileSecret, answer, ip))) return { kind: "challenge_failed" };
  return mint(invocation, caller, authorized.known, {
    ...key.token,
    allowedOrigins: caller.page.origin === null ? key.allowedOrigins : [caller.page.origin],
    models: key.models,
    endUser: null,
  });
}

async function mint(
  invocation: Invocation,
  caller: Caller,
  { key }: KnownKey,
  wanted: WantedToken,
): Promise<Minted> {
  const { ttlSeconds, ...limits } = wanted;
  const claims: TokenClaims = {
    ...limits,
    id: invocation.newId("token"),
    tenantId: caller.tenantId,
    keyId: key.id,
    expiresMs: Math.min(invocation.now() + ttlSeconds * 1000, key.expiresMs ?? Number.MAX_SAFE_INTEGER),
  };
  return {
    kind: "minted",
    token: await formatToken(invocation.signers.tokens, claims),
    expiresMs: claims.expiresMs,
  };
}

const verifyLimitMs = 10_000;

/** Asks Cloudflare (developers.cloudflare.com/turnstile/get-started/server-side-validation). */
async function isSolved(
  invocation: Invocation,
  secret: string,
  response: string,
  ip: string | null,
): Promise<boolean> {
  const form = new URLSearchParams({ secret, response, ...(ip !== null && { remoteip: ip }) });
  try {
    return await stoppedAfter(verifyLimitMs, async (signal) => {
      const reply = await invocation.fetch(invocation.config.TURNSTILE_VERIFY_URL, {
        method: "POST",
        body: form,
        redirect: "manual",
        signal,
      });
      const { success } = (await reply.json()) as { success?: unknown };
      return success === true;
    });
  } catch {
    throw new BindingUnavailable("Turnstile did not answer");
  }
}
