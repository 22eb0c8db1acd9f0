/** What the tests of OpenAI's dialect share: how its clients ask, and what they make of a reply. */
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { bearer, type TestGateway } from "../gateway.ts";

export const openAiGenerations = "/openai/v1/images/generations";

/** What most requests here ask for: small, since drawing is the slowest part, and done after some looks. */
export const openAiBody = { prompt: "a lighthouse [sim:seconds=5]", size: "square" };

/** Asks as OpenAI's clients do. */
export const ask = (
  gateway: TestGateway,
  key: string,
  fields: object = {},
  headers: Record<string, string> = {},
) => gateway.post(openAiGenerations, { ...openAiBody, ...fields }, { ...bearer(key), ...headers });

/** What OpenAI's clients send when they try again by themselves. */
export const tried = (times: number) => ({ "x-stainless-retry-count": String(times) });

export interface Reply {
  created: number;
  data: { url?: string; b64_json?: string }[];
  usage: { images: number; credits_charged?: number; [count: string]: unknown };
}

export async function replyOf(response: Response): Promise<Reply> {
  const text = await response.text();
  expect([response.status, text.slice(0, 300)]).toEqual([200, expect.stringMatching(/^\s*\{"created"/)]);
  expect(response.headers.get("content-type")).toMatch(/^application\/json\b/);
  return JSON.parse(text) as Reply;
}

export const taskIdOf = (response: Response) => response.headers.get("x-task-id") ?? "";

/** The bytes in the bucket behind a picture's URL. */
export async function storedBytes(url: string | undefined): Promise<Uint8Array> {
  const [, id] = /\/images\/(img-\w+)\.\w+$/.exec(url ?? "") ?? [];
  const object = await env.IMAGES.get(`images/${id}`);
  return new Uint8Array((await object?.arrayBuffer()) ?? []);
}

export const decoded = (text: string | undefined) => Uint8Array.fromBase64(text ?? "");
