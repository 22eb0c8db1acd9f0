/** What the tests of OpenAI's dialect share: how its clients ask, and what they make of a reply. */
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { bearer, type TestGateway } from "./gateway.ts";

export const openAiGenerations = "/openai/v1/images/generations";

/** What most requests here ask for: small, since drawing is the slowest part, and done after some polls. */
export const openAiBody = { prompt: "a lighthouse [sim:seconds=5]", size: "square" };

/** Asks as OpenAI's clients do. */
export const ask = (
  gateway: TestGateway,
  key: string,
  fields: object = {},
  headers: Record<string, string> = {},
) => gateway.post(openAiGenerations, { ...openAiBody, ...fields }, { ...bearer(key), ...headers });

/** What OpenAI's clients send when they try again by themselves. */
export const attempted = (times: number) => ({ "x-stainless-retry-count": String(times) });

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

/** Where in the bucket the picture with this URL is. */
export const keyOf = (url: string | undefined) =>
  `images/${/\/images\/(img-\w+)\.\w+$/.exec(url ?? "")?.[1]}`;

export async function storedBytes(url: string | undefined): Promise<Uint8Array> {
  const object = await env.IMAGES.get(keyOf(url));
  return new Uint8Array((await object?.arrayBuffer()) ?? []);
}

export const decoded = (text: string | undefined) => Uint8Array.fromBase64(text ?? "");

export interface Chunk {
  /** Since the request was sent. */
  atMs: number;
  text: string;
}

export interface Waited {
  response: Response;
  /** When the status came, since the request was sent. */
  answeredMs: number;
  chunks: Chunk[];
  /** Whether the body came to its end, or broke off. */
  end: "whole" | "broken";
  endedMs: number;
}

/** Asks in virtual time, and notes when each chunk of the reply came. */
export async function waitFor(
  gateway: TestGateway,
  key: string,
  fields: object = {},
  headers: Record<string, string> = {},
): Promise<Waited> {
  const startMs = gateway.now();
  const response = await ask(gateway, key, fields, headers);
  const answeredMs = gateway.now() - startMs;
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const chunks: Chunk[] = [];
  let end: Waited["end"] = "whole";
  try {
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      chunks.push({ atMs: gateway.now() - startMs, text: part.value });
    }
  } catch {
    end = "broken";
  }
  return { response, answeredMs, chunks, end, endedMs: gateway.now() - startMs };
}

export const textOf = ({ chunks }: Waited) => chunks.map(({ text }) => text).join("");
