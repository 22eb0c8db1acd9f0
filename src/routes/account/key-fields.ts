/** A tenant's keys as they are asked for and shown, in the operator's routes and in the tenant's own. */
import * as z from "zod";
import type { ListedKey } from "../../d1/tenants/keys.ts";
import { documented } from "../../domain/documented.ts";
import {
  browserKeyLimits,
  defaultTokenSettings,
  keyKinds,
  keyScopes,
  maxOverlapDays,
  mostOfToken,
} from "../../domain/keys.ts";
import { toSeconds } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import type { WantedKey } from "../../flows/tenants/tenant-keys.ts";
import { type Issue, invalidRequest } from "../../http/validation.ts";
import { allowedOrigins, givenKeyLimits, modelList, unixSeconds } from "./limit-fields.ts";

const name = z.string().trim().min(1).max(200);
const scopes = z.array(z.enum(keyScopes)).min(1).max(keyScopes.length);

/** What a token may be minted with. */
export const tokenFields = {
  ttl_seconds: z.int().min(1).max(mostOfToken.ttlSeconds),
  max_images: z.int().min(1).max(mostOfToken.maxImages),
};

export const tokenSettings = z.strictObject({
  ttl_seconds: tokenFields.ttl_seconds.default(defaultTokenSettings.ttlSeconds),
  max_images: tokenFields.max_images.default(defaultTokenSettings.maxImages),
});

export const newKey = z
  .strictObject({
    name,
    kind: z
      .enum(keyKinds)
      .meta(documented(() => ({ description: "`browser` keys are for pages and need `allowed_origins`." }))),
    scopes: scopes.optional().meta(documented(() => ({ description: "Of secret keys. Default: all." }))),
    allowed_origins: allowedOrigins.optional(),
    models: modelList
      .nullable()
      .optional()
      .meta(documented(() => ({ description: "Default: all of the tenant's." }))),
    limits: givenKeyLimits.optional().meta(
      documented(() => ({
        description: `On top of the tenant's. Browser keys: ${browserKeyLimits.images_per_day} images a day and ${browserKeyLimits.images_per_minute} a minute, unless given.`,
      })),
    ),
    token: tokenSettings
      .optional()
      .meta(documented(() => ({ description: "Of browser keys: what tokens minted by it are given." }))),
    expires_at: unixSeconds
      .nullable()
      .optional()
      .meta(documented(() => ({ description: "Unix seconds. Default: never." }))),
  })
  .meta(
    documented(() => ({
      examples: [
        { name: "production", kind: "secret", scopes: ["images"] },
        {
          name: "shop",
          kind: "browser",
          allowed_origins: ["https://shop.example"],
          limits: { images_per_day: 200 },
        },
      ],
    })),
  );

/** For how long what is replaced works beside what replaces it. */
export const overlapSeconds = z
  .int()
  .min(0)
  .max(maxOverlapDays * 86_400);

export const rotation = z
  .strictObject({
    overlap_seconds: overlapSeconds
      .default(0)
      .meta(documented(() => ({ description: "So long both keys work." }))),
  })
  .meta(documented(() => ({ examples: [{ overlap_seconds: 3_600 }] })));

const exampleKey = {
  id: "key-3w7c1m9x5q2t8k4p",
  object: "key",
  name: "production",
  kind: "secret",
  scopes: ["images"],
  allowed_origins: [],
  models: null,
  limits: {},
  token: null,
  created: 1_757_165_031,
  expires_at: null,
  revoked_at: null,
};

export const keyReply = documented(() =>
  z
    .object({
      id: z.string(),
      object: z.literal("key"),
      name: z.string(),
      kind: z.enum(keyKinds),
      scopes: z.array(z.enum(keyScopes)),
      allowed_origins: z.array(z.string()),
      models: modelList.nullable(),
      limits: givenKeyLimits,
      token: tokenSettings.nullable(),
      created: z.int(),
      expires_at: z.int().nullable(),
      revoked_at: z.int().nullable(),
    })
    .meta({ id: "Key", examples: [exampleKey] }),
);

export const madeKeyReply = documented(() =>
  keyReply
    .extend({ key: z.string().meta({ description: "Shown this once." }) })
    .meta({ id: "NewKey", examples: [{ ...exampleKey, key: "wsk_…" }] }),
);

/**
 * The key that is asked for.
 * @throws ApiError `invalid_request` that names the fields which do not go together.
 */
export function wantedKey(body: z.output<typeof newKey>, nowMs: number): WantedKey {
  const { kind, expires_at: expiresAt = null } = body;
  const issues: Issue[] = [];
  if (expiresAt !== null && expiresAt * 1000 <= nowMs) {
    issues.push({ path: ["expires_at"], message: "must be in the future" });
  }
  if (kind === "browser" && !body.allowed_origins) {
    issues.push({ path: ["allowed_origins"], message: "is required for a browser key" });
  }
  const misplaced = kind === "browser" ? (["scopes"] as const) : (["allowed_origins", "token"] as const);
  for (const field of misplaced) {
    if (body[field] !== undefined) issues.push({ path: [field], message: `is not for ${kind} keys` });
  }
  if (issues.length > 0) throw invalidRequest(issues);
  return {
    name: body.name,
    kind,
    scopes: kind === "browser" ? ["images"] : (body.scopes ?? [...keyScopes]),
    allowedOrigins: body.allowed_origins ?? [],
    models: body.models ?? null,
    limits: kind === "browser" ? { ...browserKeyLimits, ...body.limits } : (body.limits ?? {}),
    token: body.token
      ? { ttlSeconds: body.token.ttl_seconds, maxImages: body.token.max_images }
      : defaultTokenSettings,
    expiresMs: expiresAt === null ? null : expiresAt * 1000,
  };
}

export function noSuchKey(): ApiError {
  return new ApiError("not_found", "There is no such key.");
}

export function alreadyRotated(): ApiError {
  return new ApiError(
    "already_exists",
    "This key was replaced by another one before: rotate that one, which the list of keys has.",
  );
}

export function tooManyKeys(): ApiError {
  const text = "This tenant has as many keys as it may: revoke one, or have the operator allow more.";
  return new ApiError("key_limit", text);
}

export function viewKey(key: ListedKey): z.output<typeof keyReply> {
  const seconds = (ms: number | null) => (ms === null ? null : toSeconds(ms));
  const { ttlSeconds, maxImages } = key.token;
  return {
    id: key.id,
    object: "key",
    name: key.name,
    kind: key.kind,
    scopes: key.scopes,
    allowed_origins: key.allowedOrigins,
    models: key.models,
    limits: key.limits,
    token: key.kind === "browser" ? { ttl_seconds: ttlSeconds, max_images: maxImages } : null,
    created: toSeconds(key.createdMs),
    expires_at: seconds(key.expiresMs),
    revoked_at: seconds(key.revokedMs),
  };
}
