/** What is asked of a generation's body beyond its schema, by a submission and by a quote alike. */
import type { Config } from "../../config.ts";
import { isPublicHost, notPublic } from "../../domain/address.ts";
import { hasFilePath, sameHost } from "../../domain/file-addresses.ts";
import { browserMaxImages } from "../../domain/keys.ts";
import { ApiError } from "../../errors.ts";
import { type AppContext, originOf } from "../../http/context.ts";
import { type Issue, invalidRequest } from "../../http/validation.ts";
import { linkBases } from "../../platform/link-bases.ts";

type Validated = { target: string } & (
  | { success: true }
  | { success: false; error: { issues: readonly Issue[] } }
);

/** Reports what the schemas found, and checks what depends on the gateway's own address. */
export function checkGeneration(result: Validated, c: AppContext, config: Config): void {
  // Headers are validated first, and have nothing to do with the body's faults.
  if (result.target !== "json") {
    if (!result.success) throw invalidRequest(result.error.issues);
    return;
  }
  const issues = [
    ...(result.success ? [] : result.error.issues),
    ...privateFiles(c, config),
    ...ownCallback(c, config, (c.get("body") as { callback_url?: unknown } | null)?.callback_url),
  ];
  if (issues.length > 0) throw invalidRequest(issues);
}

/** Fields that a page may not set. */
export function refuseToPublic(input: { n: number; callback_url?: unknown }): void {
  if (input.callback_url !== undefined) {
    const text = "callback_url: is for secret keys only";
    throw new ApiError("scope_denied", text, { param: "callback_url" });
  }
  if (input.n > browserMaxImages) {
    const message = `must be at most ${browserMaxImages} with a browser key or client token`;
    throw invalidRequest([{ path: ["n"], message }]);
  }
}

/** A callback to the gateway itself would be a loop. It is reported beside the body's other faults. */
export function ownCallback(c: AppContext, config: Config, callback: unknown): Issue[] {
  const url = typeof callback === "string" ? URL.parse(callback) : null;
  return url && isOwnAddress(c, config, url) ? [{ path: ["callback_url"], message: ownAddress }] : [];
}

/**
 * What has a file's path may be on a private address, which the gateway's own can be; any other's may not. Where the
 * gateway is only its request says, so the schema leaves it to this.
 */
function privateFiles(c: AppContext, config: Config): Issue[] {
  const urls = (c.get("body") as { image_urls?: unknown } | null)?.image_urls;
  if (config.ALLOW_PRIVATE_NETWORK || !Array.isArray(urls)) return [];
  return urls.flatMap((text: unknown, place) => {
    const url = typeof text === "string" ? URL.parse(text) : null;
    if (!url || !hasFilePath(url) || isPublicHost(url.hostname) || isOwnAddress(c, config, url)) return [];
    return [{ path: ["image_urls", place], message: notPublic }];
  });
}

export const ownAddress = "must not be the gateway itself";

/** Whether a URL leads to this gateway: by its host, whatever the port; on one machine all share a host. */
export function isOwnAddress(c: AppContext, config: Config, url: URL): boolean {
  const origin = originOf(c);
  const own = [linkBases(config, origin).api, origin];
  return own.some((one) => sameHost(new URL(one), url, config.ALLOW_PRIVATE_NETWORK));
}
