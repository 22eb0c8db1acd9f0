/** Pages on any site may ask: preflights cost nothing, and a page can read every reply that it is allowed to. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bearer, origin, startGateway, submitTask } from "../helpers/gateway.ts";
import { makeBrowserKey, mintToken, submitFrom, taskIdOf } from "../helpers/page-visitor.ts";
import { generations, goodBody, recordBindings, storePicture, submit } from "../helpers/routes.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
let key = "";
/** A task that each may read. */
const tasks = { "browser key": "", "client token": "" };
let picture = "";
/** What a page holds. */
const held = { "browser key": "", "client token": "" };
beforeAll(async () => {
  const tenant = await gateway.makeTenant();
  ({ key } = tenant);
  held["browser key"] = (await makeBrowserKey(gateway, tenant.id)).key;
  held["client token"] = await mintToken(gateway, key, { end_user: "visitor-7" });
  picture = (await storePicture(gateway, key, "webp")).path;
  tasks["client token"] = (await submitTask(gateway, key, { end_user: "visitor-7" })).id;
  tasks["browser key"] = await taskIdOf(await submitFrom(gateway, held["browser key"]));
});
beforeEach(() => {
  bindings.calls.length = 0;
});

const page = "https://shop.example";
const exposed = [
  "Location",
  "Retry-After",
  "ETag",
  "RateLimit",
  "RateLimit-Policy",
  "x-ratelimit-limit-requests",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-reset-requests",
  "x-request-id",
  "x-should-retry",
  "x-task-id",
  "Idempotency-Replayed",
  "Preference-Applied",
  "Server-Timing",
];

const names = (headers: Headers, field: string) =>
  (headers.get(field) ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");

const lowerCase = (list: string[]) => list.map((name) => name.toLowerCase());

describe("a preflight", () => {
  const paths = [generations, "/v1/tasks/task-x", "/v1/nothing/here", "/v1", "/images/img-x.png", "/images"];

  it.each(paths)("is answered without a key and without a call to anything: %s", async (path) => {
    for (const from of [page, origin, "null", "http://localhost:5173"]) {
      const headers = { origin: from, "access-control-request-method": "POST" };
      const response = await gateway.fetch(path, { method: "OPTIONS", headers });
      expect([response.status, await response.text()]).toEqual([204, ""]);
      expect(["*", from]).toContain(response.headers.get("access-control-allow-origin"));
      expect(response.headers.get("access-control-max-age")).toBe("7200");
      expect(response.headers.get("access-control-allow-credentials")).toBeNull();
      expect(response.headers.get("x-request-id")).toMatch(/^\S{16,}$/);
    }
    expect(bindings.calls).toEqual([]);
  });

  it.each([
    "authorization",
    "authorization, content-type,idempotency-key",
    "x-stainless-retry-count, x-anything-else",
  ])("allows the headers that are asked for: %s", async (asked) => {
    const headers = {
      origin: page,
      "access-control-request-method": "POST",
      "access-control-request-headers": asked,
    };
    const response = await gateway.fetch(generations, { method: "OPTIONS", headers });
    expect(names(response.headers, "access-control-allow-headers")).toEqual(asked.split(/, */));
  });

  it("allows the methods that the routes have", async () => {
    const headers = { origin: page, "access-control-request-method": "DELETE" };
    const response = await gateway.fetch(generations, { method: "OPTIONS", headers });
    const allowed = names(response.headers, "access-control-allow-methods");
    expect(allowed).toEqual(expect.arrayContaining(["get", "head", "post", "delete"]));
  });
});

describe("a reply to a page", () => {
  it("of the gateway's own says its origin, and that it depends on it", async () => {
    for (const response of [
      await gateway.fetch(`/v1/tasks/${tasks["client token"]}`, { headers: { ...bearer(key), origin } }),
      await gateway.post(generations, { model: "wan-2.7-image", prompt: "x" }, { ...bearer(key), origin }),
    ]) {
      expect(response.status).toBe(200);
      expect(response.headers.get("access-control-allow-origin")).toBe(origin);
      expect(names(response.headers, "vary")).toContain("origin");
      expect(response.headers.get("access-control-allow-credentials")).toBeNull();
      expect(names(response.headers, "access-control-expose-headers")).toEqual(lowerCase(exposed));
    }
  });

  it("says nothing of origins to who has none", async () => {
    const response = await gateway.fetch(`/v1/tasks/${tasks["client token"]}`, { headers: bearer(key) });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  it("that is a picture is for every page", async () => {
    const response = await gateway.fetch(picture, { headers: { origin: page } });
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(names(response.headers, "access-control-expose-headers")).toEqual(lowerCase(exposed));
  });

  const errors: [string, number, () => Promise<Response>][] = [
    [
      "without a key",
      401,
      () => gateway.fetch(`/v1/tasks/${tasks["client token"]}`, { headers: { origin: page } }),
    ],
    [
      "of another origin",
      403,
      () =>
        gateway.fetch(`/v1/tasks/${tasks["client token"]}`, { headers: { ...bearer(key), origin: page } }),
    ],
    [
      "about a task that is not there",
      404,
      () => gateway.fetch("/v1/tasks/task-x", { headers: { ...bearer(key), origin } }),
    ],
    [
      "about a route that is not there",
      404,
      () => gateway.fetch("/v1/nothing", { headers: { ...bearer(key), origin } }),
    ],
    [
      "about a picture that is not there",
      404,
      () => gateway.fetch("/images/x.png", { headers: { origin: page } }),
    ],
    ["about a path below a picture", 404, () => gateway.fetch("/images/x/y", { headers: { origin: page } })],
    ["with a wrong method", 405, () => gateway.fetch(generations, { headers: { ...bearer(key), origin } })],
    ["with a wrong body", 400, () => gateway.post(generations, {}, { ...bearer(key), origin })],
    [
      "beyond a picture's end",
      416,
      () => gateway.fetch(picture, { headers: { origin: page, range: "bytes=99999999-" } }),
    ],
  ];

  it.each(errors)("that is an error can be read by every page: %s", async (_what, status, ask) => {
    const response = await ask();
    expect(response.status).toBe(status);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(response.headers.get("access-control-allow-credentials")).toBeNull();
    expect(names(response.headers, "access-control-expose-headers")).toEqual(lowerCase(exposed));
  });

  it("that is too early can be read by every page", async () => {
    const { key: limited } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    await submit(gateway, limited);
    const response = await gateway.post(
      generations,
      { model: "wan-2.7-image", prompt: "x" },
      { ...bearer(limited), origin },
    );
    expect(response.status).toBe(429);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(names(response.headers, "access-control-expose-headers")).toContain("retry-after");
  });
});

describe.each(["browser key", "client token"] as const)("a reply to a page with a %s", (kind) => {
  const headers = (from = page) => ({ ...bearer(held[kind]), origin: from });

  it("says the page's origin, that it depends on it, and never allows credentials", async () => {
    for (const response of [
      await gateway.post(generations, goodBody, headers()),
      await gateway.fetch(`/v1/tasks/${tasks[kind]}`, { headers: headers() }),
      await gateway.fetch(`/v1/tasks/${tasks[kind]}`, { headers: { ...headers(), "if-none-match": "*" } }),
      await gateway.fetch("/v1/models", { headers: headers() }),
      await gateway.post("/v1/quote", goodBody, headers()),
    ]) {
      expect([200, 304]).toContain(response.status);
      expect(response.headers.get("access-control-allow-origin")).toBe(page);
      expect(names(response.headers, "vary")).toContain("origin");
      expect(response.headers.get("access-control-allow-credentials")).toBeNull();
      expect(names(response.headers, "access-control-expose-headers")).toEqual(lowerCase(exposed));
    }
  });

  it("that is an error is for every page: a refused page can read the reason", async () => {
    for (const [status, response] of [
      [403, await gateway.post(generations, goodBody, headers("https://evil.example"))],
      [403, await gateway.fetch("/v1/models", { headers: headers("null") })],
      [403, await gateway.fetch("/v1/keys", { headers: headers() })],
      [404, await gateway.fetch("/v1/tasks/task-x", { headers: headers() })],
      [400, await gateway.post(generations, {}, headers())],
      [401, await gateway.fetch("/v1/models", { headers: { ...headers(), ...bearer(`${held[kind]}0`) } })],
    ] as const) {
      expect(response.status).toBe(status);
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
      expect(response.headers.get("access-control-allow-credentials")).toBeNull();
      expect(names(response.headers, "access-control-expose-headers")).toEqual(lowerCase(exposed));
    }
  });

  it("costs its preflight nothing, whatever the key", async () => {
    const response = await gateway.fetch("/v1/client-tokens", {
      method: "OPTIONS",
      headers: { ...headers(), "access-control-request-method": "POST" },
    });
    expect(response.status).toBe(204);
    expect(bindings.calls).toEqual([]);
  });
});

describe("the operator's API", () => {
  it("is for no page: it neither allows an origin nor answers preflights", async () => {
    const headers = { origin: page, "access-control-request-method": "GET" };
    const preflight = await gateway.fetch("/admin/api/tenants", { method: "OPTIONS", headers });
    expect(preflight.status).toBe(401);
    const admin = { ...bearer(gateway.config.ADMIN_API_KEY), origin: page };
    const response = await gateway.fetch("/admin/api/tenants", { headers: admin });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });
});
