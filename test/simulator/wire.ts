/** What can happen to one call on its way: replies of every shape, a broken connection, silence. */
import type { WireGate } from "./script.ts";

/** `fetch` fails like this when the peer resets; the server turns it into a reset of the real socket. */
export class ConnectionReset extends TypeError {
  constructor() {
    super("Network connection lost.");
  }
}

export interface ErrorSpec {
  status: number;
  code: string | number;
  message?: string | undefined;
  param?: string | undefined;
  headers?: Record<string, string> | undefined;
}

export function errorReply({ status, code, message, param, headers = {} }: ErrorSpec): Response {
  const error = { code, message: message ?? `refused: ${code}`, type: errorType(status), param };
  return Response.json({ error }, { status, headers });
}

function errorType(status: number): string {
  if (status === 401 || status === 403) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "api_error";
}

export interface Surroundings {
  signal: AbortSignal;
  nowMs: number;
  apiKey: string;
}

/** The reply that a gate gives; undefined: the call goes on as usual. */
export async function passGate(gate: WireGate, around: Surroundings): Promise<Response | undefined> {
  switch (gate.kind) {
    case "pass":
      return undefined;
    case "reply":
      return plainReply(gate);
    case "error":
      return scriptedError(gate, around.apiKey);
    case "rate_limit":
      return errorReply({
        status: 429,
        code: "rate_limit_exceeded",
        message: "Too many requests",
        headers: retryAfterHeader(gate.retryAfter, around.nowMs),
      });
    case "reset":
      throw new ConnectionReset();
    case "hang":
      return hang(around.signal);
  }
}

export function fillKey(text: string, apiKey: string): string {
  return text.replaceAll("{key}", apiKey);
}

function plainReply(gate: Extract<WireGate, { kind: "reply" }>): Response {
  const headers = new Headers(gate.headers);
  const type = bodyType(gate);
  if (type !== undefined && !headers.has("content-type")) headers.set("content-type", type);
  const body = gate.html ?? gate.text ?? ("json" in gate ? JSON.stringify(gate.json) : null);
  const bodyless = gate.status === 204 || gate.status === 205 || gate.status === 304;
  return new Response(bodyless ? null : body, { status: gate.status, headers });
}

function bodyType(gate: Extract<WireGate, { kind: "reply" }>): string | undefined {
  if (gate.html !== undefined) return "text/html; charset=utf-8";
  if (gate.text !== undefined) return "text/plain; charset=utf-8";
  return "json" in gate ? "application/json" : undefined;
}

function scriptedError(gate: Extract<WireGate, { kind: "error" }>, apiKey: string): Response {
  const { status, code, headers } = gate;
  const message = fillKey(gate.message ?? `upstream says ${code}`, apiKey);
  if (gate.shape === "oauth") {
    return Response.json({ error: code, error_description: message }, { status, headers: headers ?? {} });
  }
  return errorReply({ status, code, message, headers });
}

type RetryAfter = Extract<WireGate, { kind: "rate_limit" }>["retryAfter"];

function retryAfterHeader(retryAfter: RetryAfter, nowMs: number): Record<string, string> {
  if (retryAfter === undefined) return {};
  if (typeof retryAfter !== "object") return { "retry-after": String(retryAfter) };
  return { "retry-after": new Date(nowMs + retryAfter.dateInSeconds * 1000).toUTCString() };
}

/** Silence: ends only when the caller gives up. */
export function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
}
