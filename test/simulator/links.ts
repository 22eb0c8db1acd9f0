/** The file host behind result links: who may have a picture, and how long a link lives. */
import { pictureReply } from "./delivery.ts";
import { followHop, isHop, startRedirect } from "./redirect.ts";
import type { Gate, Serve, Subject } from "./script.ts";
import { pixelsOf } from "./submission.ts";
import { type SimulatedTask, stateOf } from "./tasks.ts";
import { passGate } from "./wire.ts";
import type { Call, World } from "./world.ts";

const LINK_LIFE_MS = 24 * 60 * 60 * 1000;
const LINK = /^\/files\/([^/]+)\/(\d+)\/(\d+)\/(\d+)[^/]*$/;
const ODD_AGENT = /^(?:$|node|undici|mozilla)/i;

interface Link {
  url: URL;
  task: SimulatedTask;
  serial: number;
  issuedMs: number;
  image: number;
}

export async function servePicture(world: World, request: Request, call: Call): Promise<Response> {
  if (leaksKey(request, world.apiKey)) return page(400, "a picture request must not carry the API key");
  if (request.method !== "GET" && request.method !== "HEAD") return page(405, "method not allowed");
  const link = readLink(world, request.url);
  if (link === undefined) return page(403, "SignatureDoesNotMatch");
  if (ODD_AGENT.test(request.headers.get("user-agent") ?? "")) return page(403, "odd User-Agent");
  const blocked = isHop(link.url) ? followHop(link.url) : await passGates(world, link, request);
  if (blocked !== undefined) return blocked;
  if (world.now() - link.issuedMs >= LINK_LIFE_MS) return page(410, "link expired");
  return send(world, link, request, call);
}

/** The key in any header or anywhere in the address, encoded or not. */
function leaksKey(request: Request, apiKey: string): boolean {
  if (request.headers.has("authorization")) return true;
  const places = [...request.headers.values(), request.url];
  return places.some((place) => place.includes(apiKey) || decodeLoosely(place).includes(apiKey));
}

function decodeLoosely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readLink(world: World, address: string): Link | undefined {
  const url = new URL(address);
  const [, id = "", serial, issuedMs, image] = LINK.exec(url.pathname) ?? [];
  const task = world.taskById(id);
  if (task === undefined || url.searchParams.get("sign") !== task.signature) return undefined;
  if (stateOf(task, world.now()).end !== "completed") return undefined;
  return { url, task, serial: Number(serial), issuedMs: Number(issuedMs), image: Number(image) };
}

function subjectOf({ task, image }: Link): Subject {
  return { task: task.id, image, prompt: task.submission.prompt, idempotencyKey: task.idempotencyKey };
}

async function passGates(world: World, link: Link, request: Request): Promise<Response | undefined> {
  const gate: Gate<"picture"> = world.rules.gate("picture", subjectOf(link)) ?? { kind: "pass" };
  switch (gate.kind) {
    case "redirect":
      return startRedirect(gate, link.url);
    case "strict_agent": {
      const agent = request.headers.get("user-agent") ?? "";
      return agent.startsWith(gate.product ?? "wan-gateway/") ? undefined : page(403, "odd User-Agent");
    }
    case "stale_link":
      return link.serial < (gate.links ?? 1) ? page(gate.status ?? 404, "no such link") : undefined;
    default:
      return passGate(gate, { signal: request.signal, nowMs: world.now(), apiKey: world.apiKey });
  }
}

async function send(world: World, link: Link, request: Request, call: Call): Promise<Response> {
  const { task, image } = link;
  const serve: Serve = world.rules.shaper("picture", subjectOf(link)) ?? {};
  const named = task.plan.format ?? "png";
  const pixels = pixelsOf(task.submission);
  const bytes = await world.picture({
    format: serve.format ?? named,
    width: serve.width ?? pixels.width,
    height: serve.height ?? pixels.height,
    seed: ((task.submission.seed ?? seedOf(task.id)) + image) % 2_147_483_648,
  });
  return pictureReply({ bytes, serve, type: `image/${named}`, request, call });
}

/** Without a seed pictures differ from task to task, as they would. */
function seedOf(id: string): number {
  let seed = 0;
  for (const character of id) seed = (seed * 31 + (character.codePointAt(0) ?? 0)) % 2_147_483_647;
  return seed;
}

/** File hosts answer in HTML, not in the API's JSON. */
function page(status: number, text: string): Response {
  const headers = { "content-type": "text/html; charset=utf-8" };
  return new Response(`<!doctype html><title>${status}</title><h1>${text}</h1>`, { status, headers });
}
