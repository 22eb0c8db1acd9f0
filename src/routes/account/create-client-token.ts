/** `POST /v1/client-tokens`: mints a token for one end user's page. */
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { endUser } from "../../domain/generation-fields.ts";
import { defaultTokenSettings } from "../../domain/keys.ts";
import { toSeconds } from "../../domain/task.ts";
import { ApiError } from "../../errors.ts";
import { type Minted, mintByTurnstile, mintToken } from "../../flows/tenants/mint-token.ts";
import { networkAddress } from "../../http/call-limits.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { bodyErrors, errorReplies, json, keyErrors } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";
import { type Issue, invalidRequest, jsonBody } from "../../http/validation.ts";
import { unlessKeyRefused } from "../tasks/refusals.ts";
import { tokenFields } from "./key-fields.ts";
import { allowedOrigins, modelList } from "./limit-fields.ts";

/** Turnstile's own bound. */
const longestTurnstile = 2_048;

const newToken = z
  .strictObject({
    ttl_seconds: tokenFields.ttl_seconds
      .optional()
      .meta(documented(() => ({ description: `Default ${defaultTokenSettings.ttlSeconds}.` }))),
    max_images: tokenFields.max_images
      .optional()
      .meta(documented(() => ({ description: `Default ${defaultTokenSettings.maxImages}.` }))),
    allowed_origins: allowedOrigins.optional(),
    models: modelList
      .optional()
      .meta(documented(() => ({ description: "Default: all that the key may use." }))),
    end_user: endUser
      .min(1)
      .optional()
      .meta(documented(() => ({ description: "Whose tasks it makes, lists and reads." }))),
    turnstile: z
      .string()
      .min(1)
      .max(longestTurnstile)
      .optional()
      .meta(documented(() => ({ description: "Turnstile's answer." }))),
  })
  .meta(
    documented(() => ({
      description:
        "By a secret key: everything but `turnstile`, and `allowed_origins` is required. By a browser key: " +
        "`turnstile` alone; the rest is what the key's `token` settings say.",
      examples: [
        { allowed_origins: ["https://shop.example"], max_images: 5, ttl_seconds: 900, end_user: "visitor-7" },
        { turnstile: "0.zrSnRHO7h0HwSjSCU8oyzbjEtD8p" },
      ],
    })),
  );

const contract = createRoute({
  method: "post",
  path: "/v1/client-tokens",
  operationId: "create-client-token",
  security: [{ key: [] }],
  middleware: [jsonBody] as const,
  request: { body: { required: true, ...json(newToken, "What the token is limited to.") } },
  ...documented(() => ({
    tags: ["Client tokens"],
    summary: "Mint a client token",
    responses: {
      201: json(
        z
          .object({ token: z.string(), expires_at: z.int() })
          .meta({ examples: [{ token: "wct_…", expires_at: 1_757_165_931 }] }),
        "Minted. It is verified without a database.",
      ),
      ...errorReplies(...bodyErrors, ...keyErrors, "model_not_allowed"),
    },
  })),
});

export function createClientToken(api: Api): void {
  api.openapi(contract, async (c) => {
    const minted = unlessKeyRefused(await mintFor(c, c.req.valid("json")), "models");
    switch (minted.kind) {
      case "no_turnstile":
        throw new ApiError(
          "scope_denied",
          "This tenant has no Turnstile secret, so browser keys mint no tokens: the operator sets its `turnstile_secret`.",
        );
      case "challenge_failed":
        throw invalidRequest([{ path: ["turnstile"], message: "was not accepted: solve a new challenge" }]);
      case "minted": {
        const { token, expiresMs } = minted;
        return c.json({ token, expires_at: toSeconds(expiresMs) }, 201, notStored);
      }
    }
  });
}

async function mintFor(c: AppContext, body: z.output<typeof newToken>): Promise<Minted> {
  const invocation = c.get("invocation");
  const caller = c.get("caller");
  if (caller.kind === "browser") {
    const { turnstile, ...rest } = body;
    const issues: Issue[] = Object.keys(rest).map((field) => ({
      path: [field],
      message: "is for secret keys only",
    }));
    if (turnstile === undefined)
      issues.unshift({ path: ["turnstile"], message: "is required with a browser key" });
    if (issues.length > 0 || turnstile === undefined) throw invalidRequest(issues);
    return mintByTurnstile(invocation, caller, turnstile, networkAddress(c));
  }
  const issues: Issue[] = [];
  if (body.turnstile !== undefined) issues.push({ path: ["turnstile"], message: "is for browser keys only" });
  if (!body.allowed_origins) issues.push({ path: ["allowed_origins"], message: "is required" });
  // A token mints nothing, and is refused for that before its body's faults.
  if (issues.length > 0 && caller.kind === "secret") throw invalidRequest(issues);
  return mintToken(invocation, caller, {
    ttlSeconds: body.ttl_seconds ?? defaultTokenSettings.ttlSeconds,
    maxImages: body.max_images ?? defaultTokenSettings.maxImages,
    allowedOrigins: body.allowed_origins ?? [],
    models: body.models ?? null,
    endUser: body.end_user ?? null,
  });
}
