/**
 * A browser key is held by everybody who opens the page: it makes pictures and reads them by their ids, from
 * its own pages and within its own caps, and shows nothing of its tenant or of the page's other visitors.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bearer, type ShownTask, startGateway } from "../../helpers/gateway.ts";
import { makeBrowserKey, page, readFrom, submitFrom, taskIdOf } from "../../helpers/page-visitor.ts";
import { countTasks, expectError, generations, goodBody, policy, submit } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
let key = "";
let taskId = "";
/** Rates are by the key: each test has its own. */
beforeEach(async () => {
  ({ key } = await makeBrowserKey(gateway, tenant.id));
});
beforeAll(async () => {
  tenant = await gateway.makeTenant();
  taskId = await taskIdOf(await submit(gateway, tenant.key));
});

describe("a browser key may", () => {
  it("submit, read what it made, see the models and ask for a quote", async () => {
    const id = await taskIdOf(await submitFrom(gateway, key, { n: 4 }));
    const headers = { ...bearer(key), ...page };
    expect((await readFrom(gateway, key, id)).status).toBe(200);
    expect((await gateway.fetch("/v1/models", { headers })).status).toBe(200);
    expect((await gateway.post("/v1/quote", goodBody, headers)).status).toBe(200);
  });
});

/** What it may do, by method and path as the document has them; all else is refused. */
const allowed = [
  `POST ${generations}`,
  "GET /v1/tasks/{id}",
  "GET /v1/tasks/{id}/events",
  "GET /v1/models",
  "POST /v1/quote",
  "POST /v1/client-tokens",
];
/** Bodies that would do, so that it is the key that is refused. */
const bodies: Record<string, object> = {
  "POST /v1/keys": { name: "mine", kind: "secret" },
  "PUT /v1/webhook": { url: "https://hooks.example/mine" },
  "PATCH /v1/webhook": { url: "https://hooks.example/mine" },
};

async function operations(): Promise<string[]> {
  const document: { paths: Record<string, object> } = await (await gateway.fetch("/openapi.json")).json();
  return Object.entries(document.paths)
    .filter(([path]) => path.startsWith("/v1/"))
    .flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`));
}

const forbidden = (await operations()).filter((operation) => !allowed.includes(operation));

describe("a browser key may not", () => {
  it("do most of what there is", () => {
    for (const known of ["GET /v1/keys", "DELETE /v1/keys/{key}", "GET /v1/usage", "GET /v1/ledger"]) {
      expect(forbidden).toContain(known);
    }
  });

  it.each(forbidden)("%s", async (operation) => {
    const [method = "", pattern = ""] = operation.split(" ");
    const path = pattern.replace("{key}", tenant.keyId).replace("{id}", taskId);
    const init: RequestInit = { method, headers: { ...bearer(key), ...page } };
    if (["POST", "PUT", "PATCH"].includes(method)) {
      init.headers = { ...init.headers, "content-type": "application/json" };
      init.body = JSON.stringify(bodies[operation] ?? {});
    }
    await expectError(await gateway.fetch(path, init), "scope_denied");
  });

  it("name an address that the gateway would call", async () => {
    const before = await countTasks();
    const response = await submitFrom(gateway, key, { callback_url: "https://shop.example/hook" });
    await expectError(response, "scope_denied", "callback_url");
    await expectError(await submitFrom(gateway, key, { n: 5 }), "invalid_request", "n");
    expect(await countTasks()).toBe(before);
  });
});

describe("a browser key", () => {
  it("reads what it made, and no other task whose id it knows", async () => {
    const own = await taskIdOf(await submitFrom(gateway, key));
    expect((await readFrom(gateway, key, own)).status).toBe(200);
    await expectError(await readFrom(gateway, key, taskId), "task_not_found");
  });
});

describe("the pages of a browser key", () => {
  const origins = ["https://shop.example", "https://*.pages.example", "http://localhost:*"];
  const cases: [string, Record<string, string>, boolean][] = [
    ["one that is listed", { origin: "https://shop.example" }, true],
    ["any below a wildcard", { origin: "https://a.b.pages.example" }, true],
    ["any port of localhost", { origin: "http://localhost:5173" }, true],
    ["a GET from the gateway's own", { "sec-fetch-site": "same-origin" }, true],
    ["another site", { origin: "https://evil.example" }, false],
    ["another scheme", { origin: "http://shop.example" }, false],
    ["another port", { origin: "https://shop.example:8443" }, false],
    ["a subdomain of an exact one", { origin: "https://a.shop.example" }, false],
    ["one that only ends alike", { origin: "https://evilshop.example" }, false],
    ["one that only starts alike", { origin: "https://shop.example.evil.example" }, false],
    ["the wildcard's own host", { origin: "https://pages.example" }, false],
    ["the wildcard over plain http", { origin: "http://a.pages.example" }, false],
    ["the wildcard on another port", { origin: "https://a.pages.example:444" }, false],
    ["a host that starts with localhost", { origin: "http://localhost.evil.example:80" }, false],
    ["localhost over https", { origin: "https://localhost:5173" }, false],
    ["what is no origin", { origin: "https://a.pages.example/x" }, false],
    ["a sandbox", { origin: "null" }, false],
    ["an empty origin", { origin: "" }, false],
    ["no page at all", {}, false],
    ["a page beside the gateway", { "sec-fetch-site": "same-site" }, false],
    ["a call from the address bar", { "sec-fetch-site": "none" }, false],
    [
      "a foreign page, same-origin or not",
      { ...page, origin: "https://x.example", "sec-fetch-site": "same-origin" },
      false,
    ],
  ];

  it.each(cases)("are those of its list: %s", async (_what, from, welcome) => {
    const { key: listed } = await makeBrowserKey(gateway, tenant.id, { allowed_origins: origins });
    const own = welcome ? await taskIdOf(await submitFrom(gateway, listed)) : taskId;
    const replies = [
      await readFrom(gateway, listed, own, from),
      await gateway.post(generations, goodBody, { ...bearer(listed), ...from }),
    ];
    for (const reply of replies) {
      if (welcome) expect(reply.status).toBe(200);
      else await expectError(reply, "origin_not_allowed");
    }
  });
});

describe("what a browser key sees", () => {
  it("has no credits in it", async () => {
    const submitted: ShownTask = await (await submitFrom(gateway, key)).json();
    const asRead: ShownTask = await (await readFrom(gateway, key, submitted.id)).json();
    for (const task of [submitted, asRead]) expect(task.usage).toEqual({ images: 0 });
  });

  it("when the tenant is short of credits is not how many are left", async () => {
    const poor = await gateway.makeTenant({ balance: 17 });
    const { key: theirs } = await makeBrowserKey(gateway, poor.id);
    const message = await expectError(await submitFrom(gateway, theirs), "insufficient_balance");
    expect(message).not.toMatch(/\d/);
    // The tenant's own server sees it.
    expect(await expectError(await submit(gateway, poor.key), "insufficient_balance")).toMatch(/\b17\b/);
  });

  it("of limits is its own state only: 10 images a minute, 100 a day, and a tenth of the tenant's others", async () => {
    const { headers } = await submitFrom(gateway, key, { n: 3 });
    expect(policy(headers, "RateLimit-Policy", "images")).toEqual({ q: 10, w: 60 });
    expect(policy(headers, "RateLimit-Policy", "daily")).toEqual({ q: 100, w: 86_400 });
    expect(policy(headers, "RateLimit", "images")).toMatchObject({ r: 7 });
    expect(policy(headers, "RateLimit", "daily")).toMatchObject({ r: 97 });
    expect(policy(headers, "RateLimit-Policy", "requests")).toEqual({ q: 60, w: 60 });
    expect(policy(headers, "RateLimit-Policy", "tasks")).toEqual({ q: 2 });
    expect(headers.get("x-ratelimit-remaining-requests")).toBe("59");
    expect(policy(headers, "RateLimit-Policy", "monthly")).toBeUndefined();
  });
});

const statuses = async (ask: () => Promise<Response>, times: number) =>
  Promise.all(Array.from({ length: times }, async () => (await ask()).status));

describe("a browser key's caps", () => {
  it("are 10 images a minute, however many ask at once", async () => {
    const { id } = await gateway.makeTenant();
    const { key: own } = await makeBrowserKey(gateway, id, { limits: { concurrent_tasks: 10 } });
    const all = await statuses(() => submitFrom(gateway, own, { n: 2 }), 12);
    expect(all.filter((status) => status === 200)).toHaveLength(5);
    const message = await expectError(await submitFrom(gateway, own), "rate_limited");
    expect(message).toMatch(/^Too many requests \(images_per_minute of this key\): try again in \d+ s\.$/);
    gateway.advance(6_000);
    expect(await statuses(() => submitFrom(gateway, own), 1)).toEqual([200]);
  });

  it("are two tasks in flight, a tenth of what a new tenant has", async () => {
    const { id } = await gateway.makeTenant();
    const { key: fresh } = await makeBrowserKey(gateway, id);
    const all = await statuses(() => submitFrom(gateway, fresh), 5);
    expect(all.filter((status) => status === 200)).toHaveLength(2);
    await expectError(await submitFrom(gateway, fresh), "too_many_tasks");
  });

  it("are 100 images a day", async () => {
    const { key: own } = await makeBrowserKey(gateway, tenant.id, { limits: { images_per_minute: null } });
    const roomy = await gateway.admin("PATCH", `/tenants/${tenant.id}`, {
      limits: { images_per_minute: null, concurrent_tasks: null, requests_per_minute: null },
    });
    expect(roomy.status).toBe(200);
    expect(new Set(await statuses(() => submitFrom(gateway, own, { n: 4 }), 25))).toEqual(new Set([200]));
    await expectError(await submitFrom(gateway, own), "quota_exceeded");
    expect((await submitFrom(gateway, key)).status).toBe(200);
  });
});
