/**
 * Whatever comes in, from callers or from the upstream, the gateway answers in its own words: never a 500, never an
 * unhandled exception, every error in the envelope, and nothing of the upstream's text.
 *
 * `FUZZ_RUNS` sets how many cases each kind of input is attempted with.
 */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { readRefusal, readRetryAfterMs } from "../../src/upstream/errors.ts";
import { parseAcceptance, parseCredits, parseTask } from "../../src/upstream/replies.ts";
import { bearer, startGateway, type TestGateway } from "../helpers/gateway.ts";
import { errorTable } from "../helpers/routes.ts";

const numRuns = Number((env as unknown as { FUZZ_RUNS?: string }).FUZZ_RUNS ?? 100);
const seed = 20_261_123;
const unlimited = {
  requests_per_minute: null,
  images_per_minute: null,
  concurrent_tasks: null,
  refusals_per_day: null,
};

let gateway: TestGateway;
let key = "";
beforeAll(async () => {
  gateway = startGateway();
  ({ key } = await gateway.makeTenant({ limits: unlimited }));
});

/** Expects an answer of the gateway's own: a success, or an error that it knows, in its envelope. */
async function expectOwnWords(response: Response, allowed: readonly number[] = []): Promise<void> {
  const text = await response.text();
  if (response.status < 300) return;
  const body = JSON.parse(text) as { error: { code: keyof typeof errorTable }; request_id: string };
  expect(Object.keys(body)).toEqual(["error", "request_id"]);
  expect(errorTable[body.error.code]?.[0]).toBe(response.status);
  if (!allowed.includes(response.status)) expect(response.status).toBeLessThan(500);
}

const word = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "evil", "[sim:done]", "null"),
);
const asciiText = fc.string({ unit: "grapheme-ascii", maxLength: 60 });
const scalar = fc.oneof(word, fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
const fields = [
  "model",
  "prompt",
  "n",
  "size",
  "seed",
  "image_urls",
  "negative_prompt",
  "metadata",
  "end_user",
  "callback_url",
];

/** A good body in which some fields are anything. */
const mutatedBody = fc
  .dictionary(fc.oneof(fc.constantFrom(...fields), word), fc.oneof(scalar, fc.jsonValue()), { maxKeys: 4 })
  .map((changes) => ({ model: "wan-2.7-image", prompt: "a boat [sim:seconds=0]", ...changes }));

describe("requests", { timeout: 1_800_000 }, () => {
  it("whose body is almost right are answered in the envelope", async () => {
    await fc.assert(
      fc.asyncProperty(mutatedBody, async (body) => {
        await expectOwnWords(await gateway.post("/v1/images/generations", body, bearer(key)));
      }),
      { numRuns, seed },
    );
  });

  it("whose body is any bytes are answered in the envelope", async () => {
    const types = fc.constantFrom("application/json", "application/json; charset=latin1", "text/plain", "");
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), types, async (bytes, type) => {
        const headers = { ...bearer(key), ...(type && { "content-type": type }) };
        const body = new Uint8Array(bytes);
        await expectOwnWords(
          await gateway.fetch("/v1/images/generations", { method: "POST", headers, body }),
        );
      }),
      { numRuns, seed },
    );
  });

  it("to any path, with any method, key and query, are answered in the envelope", async () => {
    const path = fc.oneof(
      fc.webPath(),
      fc
        .tuple(
          fc.constantFrom("/v1/tasks/", "/images/", "/v1/keys/", "/admin/api/tenants/", "/v1/"),
          fc.webSegment(),
        )
        .map((parts) => parts.join("")),
    );
    const method = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD");
    await fc.assert(
      fc.asyncProperty(
        path,
        fc.webQueryParameters(),
        method,
        asciiText,
        fc.boolean(),
        async (to, query, method, text, good) => {
          const authorization = good ? `Bearer ${key}` : text;
          const headers = {
            authorization,
            "if-none-match": text,
            range: text,
            "idempotency-key": text,
            origin: text,
          };
          const response = await gateway.fetch(`${to.startsWith("/") ? to : `/${to}`}?${query}`, {
            method,
            headers,
          });
          if (method === "HEAD" || response.status === 304) await response.body?.cancel();
          else if (response.status >= 400) await expectOwnWords(response);
        },
      ),
      { numRuns, seed },
    );
  });
});

/** What an upstream might say: a good reply in which anything may be anything. */
const upstreamFields = [
  "id",
  "status",
  "progress",
  "results",
  "result_data",
  "error",
  "task_info",
  "code",
  "message",
  "evil",
];
const anyReply = fc.oneof(
  fc.jsonValue(),
  fc
    .dictionary(fc.constantFrom(...upstreamFields), fc.oneof(scalar, fc.jsonValue()))
    .map((changes) => ({ id: "task-unified-1-evil", status: "pending", progress: 0, ...changes })),
);

describe("the upstream's replies", { timeout: 1_800_000 }, () => {
  it("of any shape are read without an exception", () => {
    fc.assert(
      fc.property(anyReply, fc.integer({ min: 100, max: 599 }), asciiText, (body, status, text) => {
        parseAcceptance(body);
        parseTask(body);
        parseCredits(body);
        readRefusal(status, body);
        const retry = readRetryAfterMs(headersOf(text), 0);
        expect(retry === null || retry >= 0).toBe(true);
      }),
      { numRuns: numRuns * 10, seed },
    );
  });

  it("to a submit and to reads never become a 500 or a leaked word", async () => {
    const status = fc.constantFrom(200, 200, 200, 201, 400, 401, 402, 404, 409, 413, 418, 429, 500, 503);
    await fc.assert(
      fc.asyncProperty(
        anyReply,
        anyReply,
        status,
        status,
        async (submitted, read, submitStatus, readStatus) => {
          const world = startGateway();
          world.simulator.control.script(
            { on: "submit", do: { kind: "reply", status: submitStatus, json: submitted } },
            { on: "read", do: { kind: "reply", status: readStatus, json: read } },
          );
          const tenant = await world.makeTenant({ limits: unlimited });
          const body = { model: "wan-2.7-image", prompt: "a boat", size: "square" };
          const response = await world.post("/v1/images/generations", body, bearer(tenant.key));
          const copy = (await response.clone().json()) as { id?: string };
          expect(await response.clone().text()).not.toContain("evil");
          await expectOwnWords(response, [502]);
          if (!copy.id) return;
          world.advance(10_000);
          await world.tick();
          await expectOwnWords(await world.fetch(`/v1/tasks/${copy.id}`, { headers: bearer(tenant.key) }));
          expect(
            world.logs.filter((line) => line.event === "round_failed" || line.event === "lane_failed"),
          ).toEqual([]);
        },
      ),
      { numRuns: Math.ceil(numRuns / 4), seed },
    );
  });
});

function headersOf(text: string): Headers {
  const headers = new Headers();
  try {
    headers.set("retry-after", text);
  } catch {
    // No text that could come in a header.
  }
  return headers;
}
