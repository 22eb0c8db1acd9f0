/**
 * Redirect chains. What is left of a chain travels in the link's query, so that a rule that holds for one call makes
 * a whole chain, and the last hop is served.
 */
import type { Redirect } from "./script.ts";

const PRIVATE_HOST = "10.0.0.7";

export function isHop(url: URL): boolean {
  return url.searchParams.has("left");
}

export function startRedirect(redirect: Redirect, url: URL): Response {
  const first = new URL(url);
  first.searchParams.set("left", String(redirect.hops ?? 1));
  first.searchParams.set("form", redirect.form ?? "absolute");
  first.searchParams.set("code", String(redirect.status ?? 302));
  if (redirect.location !== undefined) first.searchParams.set("to", redirect.location);
  return hop(first);
}

/** The next redirect of a chain; undefined: this is where it ends. */
export function followHop(url: URL): Response | undefined {
  return url.searchParams.get("left") === "0" ? undefined : hop(url);
}

function hop(url: URL): Response {
  const left = Number(url.searchParams.get("left"));
  const form = url.searchParams.get("form");
  const next = new URL(url);
  if (form !== "loop") next.searchParams.set("left", String(left - 1));
  const location = left === 1 ? lastLocation(next, form) : between(next, form);
  const headers = location === "" ? {} : { location };
  return new Response(null, { status: Number(url.searchParams.get("code")), headers });
}

function between(next: URL, form: string | null): string {
  return form === "relative" ? relative(next) : next.href;
}

function lastLocation(next: URL, form: string | null): string {
  const given = next.searchParams.get("to");
  if (given !== null) return given;
  if (form === "http") next.protocol = "http:";
  if (form === "private") next.host = PRIVATE_HOST;
  return between(next, form);
}

/** Relative to the folder, the form that naive joining gets wrong. */
function relative(next: URL): string {
  return `./${next.pathname.split("/").at(-1)}${next.search}`;
}
