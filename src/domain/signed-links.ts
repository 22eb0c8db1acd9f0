/**
 * Signed links: one task's events, for an hour, to the holder of the link, since an `EventSource` sends no headers. A link
 * ends with the key by which it was issued.
 *
 *   <tenant>.<key>.<expiry, unix seconds>.<check>
 */
import type { Signer } from "./signing.ts";

export interface LinkClaims {
  taskId: string;
  tenantId: string;
  /** The key by which, or by whose token, the link was issued. */
  keyId: string;
  expiresMs: number;
}

export const signedLinkLifeMs = 3_600_000;

const linkPattern = /^([a-z0-9-]{3,32})\.(key-[0-9a-z]{16})\.(\d{1,12})\.([0-9a-z]{26})$/;
const signed = (taskId: string, rest: string) => `events ${taskId} ${rest}`;

export async function formatLink(
  signer: Signer,
  { taskId, tenantId, keyId, expiresMs }: LinkClaims,
): Promise<string> {
  const rest = `${tenantId}.${keyId}.${Math.floor(expiresMs / 1000)}`;
  return `${rest}.${await signer.sign(signed(taskId, rest))}`;
}

/** Reads a link's token without touching storage; undefined for whatever this gateway did not sign for this task. */
export async function readLink(
  signer: Signer,
  taskId: string,
  text: string,
): Promise<LinkClaims | undefined> {
  const [, tenantId, keyId, expires, check] = linkPattern.exec(text) ?? [];
  if (!tenantId || !keyId || !expires || !check) return undefined;
  const rest = text.slice(0, -check.length - 1);
  if (!(await signer.verify(signed(taskId, rest), check))) return undefined;
  return { taskId, tenantId, keyId, expiresMs: Number(expires) * 1000 };
}
