/** A gateway whose configuration is missing or malformed says so on every route, and never what a value holds. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import worker from "../../../src/index.ts";
import { bearer, origin } from "../../helpers/gateway.ts";
import { expectError, naming } from "../../helpers/routes.ts";

type Values = Record<string, unknown>;

/** The Worker itself, over the test's bindings with these values changed; undefined takes one away. */
function fetchWith(values: Values, path: string, init?: RequestInit): Promise<Response> {
  const changed = { ...env, ...values } as unknown as Env;
  const request = new Request(`${origin}${path}`, init) as Parameters<typeof worker.fetch>[0];
  return Promise.resolve(worker.fetch(request, changed, createExecutionContext()));
}

/** What the Worker writes to its log. */
let lines: string[] = [];
beforeEach(() => {
  lines = [];
  vi.spyOn(console, "log").mockImplementation((line) => lines.push(String(line)));
});
afterEach(() => {
  vi.restoreAllMocks();
});

const paths = [
  "/",
  "/readyz",
  "/openapi.json",
  "/nothing",
  "/v1/tasks/task-x",
  "/v1/images/generations",
  "/images/img-x.png",
  "/admin/api/tenants",
];

describe("without a required secret", () => {
  it.each(["UPSTREAM_API_KEY", "ADMIN_API_KEY", "KEY_SIGNING_SECRET"])(
    "every route but /healthz names it: %s",
    async (name) => {
      for (const path of paths) {
        for (const method of ["GET", "POST", "DELETE"]) {
          const response = await fetchWith({ [name]: undefined }, path, { method, headers: bearer("x") });
          expect(await expectError(response, "misconfigured")).toMatch(naming(name));
        }
      }
    },
  );

  it("/healthz is answered all the same, with an id", async () => {
    const response = await fetchWith({ UPSTREAM_API_KEY: undefined }, "/healthz");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
    expect(response.headers.get("x-request-id")).toMatch(/^\S{16,}$/);
  });

  it("names all that are missing at once", async () => {
    const response = await fetchWith(
      { UPSTREAM_API_KEY: "", ADMIN_API_KEY: undefined, PRICES: "{" },
      "/readyz",
    );
    const message = await expectError(response, "misconfigured");
    for (const name of ["UPSTREAM_API_KEY", "ADMIN_API_KEY", "PRICES"]) expect(message).toMatch(naming(name));
    expect(message).not.toMatch(naming("KEY_SIGNING_SECRET"));
  });

  it("logs a line for each request, which the reply's id finds", async () => {
    const response = await fetchWith({ UPSTREAM_API_KEY: undefined }, "/readyz");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      request: response.headers.get("x-request-id"),
      status: 500,
      code: "misconfigured",
    });
  });

  it("gives each reply an id of its own", async () => {
    const ids = new Set<string | null>();
    for (let i = 0; i < 3; i++) {
      ids.add((await fetchWith({ ADMIN_API_KEY: undefined }, "/readyz")).headers.get("x-request-id"));
    }
    expect(ids.size).toBe(3);
  });
});

const malformed: [string, unknown][] = [
  ["UPSTREAM_API_KEY", ""],
  ["ADMIN_API_KEY", "too-short-for-a-secret"],
  ["ADMIN_API_KEY", "x".repeat(31)],
  ["KEY_SIGNING_SECRET", "also-too-short"],
  ["KEY_SIGNING_SECRET", "x".repeat(31)],
  ["UPSTREAM_BASE_URL", "not-an-address"],
  ["UPSTREAM_BASE_URL", "https://upstream.example/"],
  ["UPSTREAM_BASE_URL", "ftp://upstream.example"],
  ["UPSTREAM_BASE_URL", "https://upstream.example?x=1"],
  ["PUBLIC_BASE_URL", "gateway.example"],
  ["PUBLIC_BASE_URL", "https://gateway.example/"],
  ["PUBLIC_IMAGE_BASE_URL", "javascript:alert(1)"],
  ["UPSTREAM_TIMEOUT_MS", "soon"],
  ["UPSTREAM_TIMEOUT_MS", "0"],
  ["UPSTREAM_TIMEOUT_MS", "-5"],
  ["UPSTREAM_TIMEOUT_MS", "1.5"],
  ["TASK_DEADLINE_SECONDS", "an hour"],
  ["POLL_ROUND_SECONDS", "-1"],
  ["POLL_ROUND_SECONDS", "often"],
  ["ARCHIVE_MAX_BYTES", "32MB"],
  ["PRICES", "30"],
  ["PRICES", '{"wan-2.7-image":-1,"wan-2.7-image-pro":75}'],
  ["PRICES", '{"wan-2.7-image":1.5,"wan-2.7-image-pro":75}'],
  ["PRICES", '{"wan-2.7-image":30,"wan-2.7-image-pro":75,"wan-9":1}'],
  ["MODEL_ALIASES", "wan=wan-2.7-image"],
  ["MODEL_ALIASES", '{"gpt-image-1":"dall-e-3"}'],
  ["ALLOW_PRIVATE_NETWORK", "yes"],
  ["ALLOW_PRIVATE_NETWORK", "1"],
];

describe("with a malformed value", () => {
  it.each(malformed)("the reply names %s and not %j", async (name, value) => {
    for (const path of ["/readyz", "/v1/tasks/task-x"]) {
      const response = await fetchWith({ [name]: value }, path);
      const wire = (await response.clone().text()) + JSON.stringify([...response.headers]);
      expect(await expectError(response, "misconfigured")).toMatch(naming(name));
      // A value of one or two characters is in every reply by chance.
      if (String(value).length > 2) expect(wire + lines.join()).not.toContain(value);
    }
  });
});

const sound: [string, unknown][] = [
  ["ADMIN_API_KEY", "x".repeat(32)],
  ["KEY_SIGNING_SECRET", "x".repeat(32)],
  ["ADMIN_READ_KEY", undefined],
  ["ADMIN_READ_KEY", ""],
  ["KEY_SIGNING_SECRET_PREVIOUS", ""],
  ["UPSTREAM_BASE_URL", undefined],
  ["PUBLIC_BASE_URL", ""],
  ["PUBLIC_IMAGE_BASE_URL", "https://pictures.example"],
  ["UPSTREAM_TIMEOUT_MS", undefined],
  ["UPSTREAM_TIMEOUT_MS", 5_000],
  ["POLL_ROUND_SECONDS", "0"],
  ["PRICES", undefined],
  ["PRICES", { "wan-2.7-image": 0, "wan-2.7-image-pro": 1 }],
  ["MODEL_ALIASES", '{"gpt-image-1":"wan-2.7-image"}'],
  ["ALLOW_PRIVATE_NETWORK", undefined],
  ["ALLOW_PRIVATE_NETWORK", true],
];

describe("with a value that is optional or sound", () => {
  it.each(sound)("the gateway runs: %s = %j", async (name, value) => {
    const response = await fetchWith({ [name]: value }, "/v1/tasks/task-x");
    expect(await response.json()).toMatchObject({ error: { code: "missing_key" } });
  });
});
