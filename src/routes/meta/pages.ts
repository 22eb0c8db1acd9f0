/**
 * The pages, which `npm run build` makes of `src/web`: static assets, with what a browser has to be told of them. They
 * pass through the Worker, so that every route of the API goes first and errors are the API's own.
 */

import { ApiError } from "../../errors.ts";
import type { Api, AppContext } from "../../http/context.ts";
import { callBinding } from "../../platform/invocation.ts";

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
 * Everything from here and nothing from elsewhere, whatever a library may have in mind; no script and no style but from
 * files. The pages call the API, and show its pictures, where those are published. Swagger UI has small pictures in its
 * style sheet as `data:`, and the playground shows a file before it is uploaded as `blob:`.
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
