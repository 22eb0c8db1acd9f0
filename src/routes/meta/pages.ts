/**
 * Serves the pages, which `npm run build` makes of `src/web`: static assets, with the headers that protect them. They
 * pass through the Worker, so that the API's routes take precedence and errors are the API's own.
 */

import { ApiError } from "../../errors.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { callBinding } from "../../platform/binding.ts";

/** Playground, dashboard and reference. */
export const pagePaths: readonly string[] = ["/", "/admin", "/docs"];

export function web(api: Api): void {
  for (const path of [...pagePaths, "/assets/:file"]) api.get(path, servePage);
}

async function servePage(c: AppContext): Promise<Response> {
  const page = await callBinding("assets", () => c.get("invocation").assets.fetch(c.req.raw));
  if (page.status === 404) {
    const text = "There is no such page. If the gateway is yours: its pages are made by npm run build.";
    throw new ApiError("not_found", text);
  }
  const reply = new Response(page.body, page);
  reply.headers.set("content-security-policy", contentSecurityPolicy(c));
  reply.headers.set("x-content-type-options", "nosniff");
  reply.headers.set("referrer-policy", "no-referrer");
  return reply;
}

/**
 * The policy allows scripts and styles from the gateway's own files alone. The pages call the API and show its pictures
 * under their published addresses. Swagger UI's style sheet has small pictures as `data:`, and the playground shows a
 * file before its upload as `blob:`.
 */
function contentSecurityPolicy(c: AppContext): string {
  const { PUBLIC_BASE_URL, PUBLIC_IMAGE_BASE_URL } = c.get("invocation").config;
  const originOf = (url: string | null) => (url ? ` ${new URL(url).origin}` : "");
  const published = originOf(PUBLIC_BASE_URL);
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self' data: blob:${published}${originOf(PUBLIC_IMAGE_BASE_URL)}`,
    `connect-src 'self'${published}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
