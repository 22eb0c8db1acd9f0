/** Refusals as flows return them, turned into the errors that callers get. A new kind does not compile until it is here. */
import type { KeyRefusal } from "../domain/tenant.ts";
import { ApiError } from "../errors.ts";
import type { RefusalCode } from "../upstream/errors.ts";

export function keyRefused(refusal: KeyRefusal): ApiError {
  switch (refusal) {
    case "invalid_key":
      return new ApiError("invalid_key", "The key is not valid.", {
        headers: { "www-authenticate": "Bearer" },
      });
    case "tenant_suspended":
      return new ApiError("tenant_suspended", "This tenant is suspended.");
    case "scope_denied":
      return new ApiError("scope_denied", "This key's scopes do not allow this.");
  }
}

/** @param headers The limits' state: the request was counted. */
export function upstreamRefused(code: RefusalCode, headers: Record<string, string>): ApiError {
  switch (code) {
    case "content_policy_violation":
      return new ApiError(
        code,
        "The request was refused by the content policy. Change the prompt or the references.",
        { headers },
      );
    case "invalid_parameters":
      return new ApiError(
        code,
        "The image model refused these parameters. Check size, number and references.",
        { headers },
      );
    case "invalid_media_url":
      return new ApiError(code, "The image model could not fetch a reference image.", {
        param: "image_urls",
        headers,
      });
    case "upstream_rejected":
      return new ApiError(
        code,
        "The gateway's account was refused by the image service. Its operator has to act.",
        { headers },
      );
  }
}
