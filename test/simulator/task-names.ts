/** The `[sim:…]` names about submits, reads and a task's life. */
import type { Name } from "./prompt.ts";
import type { Plan } from "./script.ts";

const LEAKING_MESSAGE = [
  "provider dashscope-intl.example answered 500 for account acct-77310 (balance 12.40 USD)",
  "request: https://api.evolink.ai/v1/images/generations?trace=8f2c Authorization: Bearer {key}",
  "see https://files.evolink.ai/debug/8f2c/upstream.log?sig=a1b2c3 ",
  "at Object.<anonymous> (/srv/gateway/relay/channel.js:214:17) ".repeat(40),
].join("\n");

const BAD_GATEWAY = "<html><body><h1>502 Bad Gateway</h1></body></html>";

type Gate = (arg: string) => object;

/** A fault holds for one call, so that the next attempt gets through. */
function fault(on: "submit" | "read", means: string, arg: string, gate: Gate): Name {
  return { means, arg, times: 1, rules: (given) => [{ on, do: gate(given) }] };
}

function refusal(means: string, arg: string, status: number): Name {
  return { means, arg, times: undefined, rules: (code) => [{ on: "submit", do: error(status, code) }] };
}

export function life(
  means: string,
  arg: string,
  plan: (arg: string) => { [Field in keyof Plan]: unknown },
): Name {
  return { means, arg, times: undefined, rules: (given) => [planRule(plan(given))] };
}

export function planRule(plan: { [Field in keyof Plan]: unknown }): object {
  return { on: "submit", do: { kind: "plan", ...plan } };
}

function error(status: number | string, code: string | number): object {
  return { kind: "error", status: Number(status), code };
}

function rateLimit(arg: string): object {
  if (arg === "") return { kind: "rate_limit" };
  return { kind: "rate_limit", retryAfter: arg === "date" ? { dateInSeconds: 5 } : arg };
}

const submitGates: Record<string, Name> = {
  "429": fault("submit", "429; Retry-After is the argument (`date`: 5 s from now)", "", rateLimit),
  "submit-error": fault("submit", "JSON error with this status", "500", (arg) =>
    error(arg, "internal_error"),
  ),
  "integer-code": fault("submit", "503 whose code is this integer", "1234", (arg) => error(503, Number(arg))),
  "oauth-error": fault("submit", "error as {error, error_description}, with this status", "503", (arg) => ({
    ...error(arg, "temporarily_unavailable"),
    shape: "oauth",
  })),
  "submit-html": fault("submit", "HTML with this status", "502", (arg) => ({
    kind: "reply",
    status: Number(arg),
    html: BAD_GATEWAY,
  })),
  "submit-text": fault("submit", "plain text with this status", "503", (arg) => ({
    kind: "reply",
    status: Number(arg),
    text: "upstream connect error or disconnect",
  })),
  "submit-empty": fault("submit", "an empty body with this status", "500", (arg) => ({
    kind: "reply",
    status: Number(arg),
  })),
  refuse: refusal("400 with this code, always", "content_policy_violation", 400),
  account: refusal("401 with this code, always", "invalid_token", 401),
  quota: refusal("402 with this code, always", "insufficient_quota", 402),
  conflict: refusal("409 with this code, always", "idempotency_conflict", 409),
  "reset-before": fault("submit", "connection reset, no task", "", () => ({ kind: "reset" })),
  "reset-after": fault("submit", "connection reset, the task exists", "", () => ({
    kind: "reset",
    created: true,
  })),
  "hang-before": fault("submit", "no reply, no task", "", () => ({ kind: "hang" })),
  "hang-after": fault("submit", "no reply, the task exists", "", () => ({ kind: "hang", created: true })),
  "error-after": fault("submit", "JSON error with this status, the task exists", "500", (arg) => ({
    ...error(arg, "internal_error"),
    created: true,
  })),
  "still-running": fault("submit", "409 paid_outcome_unknown, the task exists", "", () => ({
    ...error(409, "paid_outcome_unknown"),
    created: true,
  })),
  "no-id": fault("submit", "200 without id, the task exists", "", () => ({
    kind: "reply",
    status: 200,
    json: { object: "image.generation.task", status: "pending" },
    created: true,
  })),
  "non-object": fault("submit", "200 with a JSON array, the task exists", "", () => ({
    kind: "reply",
    status: 200,
    json: ["ok"],
    created: true,
  })),
};

const readGates: Record<string, Name> = {
  "read-429": fault("read", "429; Retry-After is the argument (`date`: 5 s from now)", "", rateLimit),
  "read-error": fault("read", "JSON error with this status", "500", (arg) => error(arg, "internal_error")),
  "read-html": fault("read", "HTML with this status", "502", (arg) => ({
    kind: "reply",
    status: Number(arg),
    html: BAD_GATEWAY,
  })),
  "read-404": fault("read", "404 task_not_found", "", () => error(404, "task_not_found")),
  "read-reset": fault("read", "connection reset", "", () => ({ kind: "reset" })),
  "read-hang": fault("read", "no reply", "", () => ({ kind: "hang" })),
};

const lives: Record<string, Name> = {
  replay: life("the reply says that it is a replay", "", () => ({ replayed: true })),
  seconds: life("done after so many seconds", "30", (arg) => ({ seconds: Number(arg) })),
  done: life("done in the reply to the submit", "", () => ({ seconds: 0 })),
  stuck: life("frozen progress, done after so many seconds", "900", (arg) => ({
    seconds: Number(arg),
    progress: "frozen",
  })),
  hidden: life("404 on read for so many seconds", "5", (arg) => ({ hiddenSeconds: Number(arg) })),
  progress: life("linear, frozen, jumping or back", "jumping", (arg) => ({ progress: arg })),
  status: life("this word while it runs", "queued_for_review", (arg) => ({ status: arg })),
  cancelled: life("ends as cancelled (or canceled)", "cancelled", (arg) => ({ end: arg })),
  fail: life("fails late with this code", "content_policy_violation", (arg) => ({
    end: "failed",
    code: arg,
  })),
  "fail-silent": life("fails without an error object", "", () => ({ end: "failed", withoutError: true })),
  leak: life("fails with a long message that holds links and the key", "", () => ({
    end: "failed",
    code: "channel_internal_error",
    message: LEAKING_MESSAGE,
  })),
  results: life("so many links, whatever n was", "0", (arg) => ({ results: Number(arg) })),
  repeated: life("every link is the first one", "", () => ({ repeated: true })),
  "in-object": life("one link, in result_data as an object", "", () => ({ carrier: "result_data_object" })),
  "in-array": life("links in result_data as an array", "", () => ({ carrier: "result_data_array" })),
  "fresh-links": life("each read gives new links", "", () => ({ links: "fresh" })),
  format: life("pictures are png, jpeg or webp", "jpeg", (arg) => ({ format: arg })),
  extension: life("links end in this", "", (arg) => ({ extension: arg })),
  origin: life("links point to this origin", "http://169.254.169.254", (arg) => ({ origin: arg })),
};

export const TASK_NAMES: Record<string, Name> = { ...submitGates, ...readGates, ...lives };
