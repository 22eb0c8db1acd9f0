/**
 * Every call behind a key, token or link is counted before anything is read from storage: by what its route is, and by
 * whom it comes from. One too many costs nothing.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readToken } from "../../src/domain/tokens.ts";
import { callKinds } from "../../src/http/call-limits.ts";
import { type EdgeLimit, edgeLimits } from "../../src/platform/edge-limits.ts";
import { draw, upload } from "../helpers/files.ts";
import { bearer, startGateway, submitTask } from "../helpers/gateway.ts";
import { askEdit } from "../helpers/openai-edits.ts";
import { askForToken, makeBrowserKey, mintToken, page } from "../helpers/page-visitor.ts";
import { expectError, generations, goodBody, makeKey, recordBindings } from "../helpers/routes.ts";

const bindings = recordBindings();
const usedUp = new Set<string>();
const gateway = startGateway({
  around: bindings.around,
  usedUp,
  turnstile: () => Response.json({ success: true }),
});
let tenant = { id: "", key: "", keyId: "" };
let taskId = "";
let link = "";
beforeAll(async () => {
  tenant = await gateway.makeTenant({ turnstile_secret: "a-secret" });
  const task = await submitTask(gateway, tenant.key, { end_user: "visitor-7" });
  taskId = task.id;
  const { pathname, search } = new URL((task.links as { events: string }).events);
  link = pathname + search;
});
beforeEach(() => {
  bindings.calls.length = 0;
});

let addresses = 0;
/** An address that no other test has asked from. */
const newAddress = () => ({ "cf-connecting-ip": `192.0.2.${++addresses}` });

const minute = () => Math.floor(Date.now() / 60_000);

/** Of so many a minute and more it is said that they are used up. */
const many = ["READS_BY_KEY", "LINKS_BY_TASK"];

/** Uses up a limit, many at a time, since hundreds may be let through. @returns how many were. */
async function exhaust(limit: EdgeLimit, by: string): Promise<number> {
  const { tooMany } = gateway.invocation();
  const binding = limit in edgeLimits ? edgeLimits[limit as keyof typeof edgeLimits] : "";
  if (many.includes(binding)) {
    usedUp.add(`${binding} ${limit} ${by}`);
    return Number.NaN;
  }
  let through = 0;
  for (;;) {
    const refused = await Promise.all(Array.from({ length: 100 }, () => tooMany(limit, by)));
    through += refused.filter((one) => !one).length;
    if (refused.includes(true)) return through;
  }
}

/**
 * Uses up a limit, and asks once more, within one minute of the limiter's, which goes by the real clock.
 * @returns how many were let through, and the reply to one too many.
 */
function beyond(limit: EdgeLimit, by: string, ask: () => Promise<Response>) {
  return beyondAnew(limit, () => ({ by, ask }));
}

interface Asker {
  by: string;
  ask: () => Promise<Response>;
}

/** The same by a new caller each time: what was let through in a minute that ended is not counted in the next. */
async function beyondAnew(limit: EdgeLimit, make: () => Asker) {
  for (let round = 0; round < 3; round++) {
    const { by, ask } = make();
    const start = minute();
    const count = await exhaust(limit, by);
    bindings.calls.length = 0;
    const response = await ask();
    if (minute() === start) return { count, response };
    await response.body?.cancel();
  }
  throw new Error("no round within a minute");
}

/** Expects a refusal that has cost no call to storage. Gives its message. */
async function expectLimited(response: Response): Promise<string> {
  expect(response.headers.get("retry-after")).toBe("60");
  const message = await expectError(response.clone(), "rate_limited");
  expect(bindings.calls).toEqual([]);
  return message;
}

const json = { "content-type": "application/json" };
const call = (method: string, path: string, headers: Record<string, string>) =>
  gateway.fetch(path, {
    method,
    headers: { ...json, ...headers },
    ...(["POST", "PUT", "PATCH"].includes(method) && { body: "{}" }),
  });

/** A route's path with an id in it. */
const pathOf = (route: string) => route.replace(":id", taskId).replace(":key", "key-none");

describe("a route", () => {
  it("behind a key counts as something: none is left out, and none is made up", () => {
    const { routes } = createApp(gateway.config, gateway.invocation);
    const behindKeys = routes
      .filter(({ method, path }) => method !== "ALL" && /^\/(openai\/)?v1\//.test(path))
      .map(({ method, path }) => `${method} ${path}`);
    expect(new Set(Object.keys(callKinds))).toEqual(new Set(behindKeys));
  });

  const figures = {
    ...{ submits: 6_000, reads: 6_000, lists: 60, writes: 600, mints: 600, manage: 60, revokes: 60 },
    ...{ tenantSubmits: 12_000, tenantChanges: 60 },
  };
  const counted = Object.entries(callKinds).flatMap(([route, kind]) => {
    const [method = "", path = ""] = route.split(" ");
    return (method === "GET" ? ["GET", "HEAD"] : [method]).map((one) => ({ method: one, path, kind }));
  });

  it.each(["submits", "reads", "lists", "writes", "mints", "manage", "revokes"] as const)(
    "of kind %s is limited by that, whatever its method, and costs no call beyond it",
    async (kind) => {
      const own = await makeKey(gateway, tenant.id, {});
      const another = await gateway.makeTenant();
      const by = `${tenant.id} ${own.id}`;
      for (const { method, path } of counted.filter((route) => route.kind === kind)) {
        const ask = () => call(method, pathOf(path), bearer(own.key));
        const { response } = await beyond(kind, by, ask);
        expect([method, path, response.status]).toEqual([method, path, 429]);
        expect(response.headers.get("retry-after")).toBe("60");
        expect(bindings.calls).toEqual([]);
        // Another tenant's is another counter.
        expect((await call(method, pathOf(path), bearer(another.key))).status).not.toBe(429);
      }
    },
  );

  // Those of thousands are in wrangler.toml, and in the documents as there.
  const few = Object.entries(figures).filter(([, figure]) => figure < 1_000);
  it.each(few)("of kind %s is let through %i times a minute", async (kind, figure) => {
    for (let round = 0; ; round++) {
      const start = minute();
      const count = await exhaust(kind as EdgeLimit, `counted ${kind} ${round}`);
      // One that began in the minute before counts for two.
      if (minute() !== start && round < 3) continue;
      expect(count).toBe(figure);
      return;
    }
  });

  it("of one kind is let in when another kind is used up", async () => {
    const own = await makeKey(gateway, tenant.id, {});
    const { response } = await beyond("lists", `${tenant.id} ${own.id}`, () =>
      call("GET", "/v1/tasks", bearer(own.key)),
    );
    expect(await expectLimited(response)).toMatch(/lists/);
    expect((await call("GET", `/v1/tasks/${taskId}`, bearer(own.key))).status).toBe(200);
    expect((await gateway.post(generations, goodBody, bearer(own.key))).status).toBe(200);
  });

  it("that there is not counts as a read", async () => {
    const own = await makeKey(gateway, tenant.id, {});
    const by = `${tenant.id} ${own.id}`;
    const ask = () => call("GET", "/v1/nothing", bearer(own.key));
    expect((await beyond("reads", by, ask)).response.status).toBe(429);
  });
});

describe("changes of a tenant's keys", () => {
  it("are counted by tenant, over all its keys that may make them, and keep none from revoking", async () => {
    const { id, key } = await gateway.makeTenant();
    const [second, leaked] = [await makeKey(gateway, id, {}), await makeKey(gateway, id, {})];
    const change = (by: string) => call("DELETE", "/v1/webhook", bearer(by));
    const { response } = await beyond("tenantChanges", id, () => change(key));
    expect(await expectError(response, "rate_limited")).toMatch(/changes of this tenant's keys/);
    await expectError(await change(second.key), "rate_limited");
    expect((await call("DELETE", `/v1/keys/${leaked.id}`, bearer(second.key))).status).toBe(204);
  });

  it("are not used up by a key that may make none, nor is revoking", async () => {
    const { id, key } = await gateway.makeTenant();
    const leaked = await makeKey(gateway, id, { scopes: ["images"] });
    for (const path of ["/v1/webhook", "/v1/keys/none"])
      for (let again = 0; again < 60; again++)
        expect((await call("DELETE", path, bearer(leaked.key))).status).toBe(403);
    expect((await call("DELETE", "/v1/webhook", bearer(key))).status).toBe(204);
    expect((await call("DELETE", `/v1/keys/${leaked.id}`, bearer(key))).status).toBe(204);
  });

  it("are not used up by the keys of pages, which may make none", async () => {
    const { id, key } = await gateway.makeTenant();
    const browser = await makeBrowserKey(gateway, id);
    const ask = () => call("DELETE", "/v1/webhook", { ...bearer(browser.key), ...page });
    await expectLimited((await beyond("manage", `${id} ${browser.id}`, ask)).response);
    expect((await call("DELETE", "/v1/webhook", bearer(key))).status).toBe(204);
  });
});

describe("streams by signed links", () => {
  it("are limited by task", async () => {
    const { response } = await beyond("links", link.split("?")[0] ?? "", () => gateway.fetch(link));
    expect(await expectLimited(response)).toMatch(/link/);
    expect((await call("GET", `/v1/tasks/${taskId}`, bearer(tenant.key))).status).toBe(200);
  });

  it("are limited by network address, over all tasks", async () => {
    const { links } = await submitTask(gateway, tenant.key);
    const other = new URL((links as { events: string }).events);
    const headers = newAddress();
    const ask = (from: Record<string, string>) =>
      gateway.fetch(other.pathname + other.search, { method: "HEAD", headers: from });
    const by = headers["cf-connecting-ip"];
    const { response } = await beyond("linkAddresses", by, () => ask(headers));
    expect(response.headers.get("retry-after")).toBe("60");
    expect(bindings.calls).toEqual([]);
    // What it is refused takes none of the task's, so that others with the link go on.
    const others = await beyond("linkAddresses", by, async () => {
      for (let round = 0; round < 13; round++)
        await Promise.all(Array.from({ length: 100 }, () => ask(headers)));
      return ask(newAddress());
    });
    expect(others.response.status).toBe(200);
  });
});

describe("what visitors of a page ask", () => {
  it.each([
    ["visits", 600, "GET", "/v1/tasks/:id"],
    ["visits", 600, "DELETE", "/v1/files/:id"],
    ["visitorLists", 60, "GET", "/v1/tasks"],
    ["visitorSubmits", 60, "POST", generations],
    ["visitorSubmits", 60, "POST", "/v1/files"],
  ] as const)(
    "is limited by %s, %i of a key and network address: %s %s",
    async (limit, most, method, path) => {
      const browser = await makeBrowserKey(gateway, tenant.id);
      const token = await mintToken(gateway, tenant.key);
      for (const [key, id] of [
        [browser.key, browser.id],
        [token, tenant.keyId],
      ] as const) {
        const ask = (from: Record<string, string>) =>
          call(method, pathOf(path), { ...bearer(key), ...page, ...from });
        const { count, response } = await beyondAnew(limit, () => {
          const headers = newAddress();
          return { by: `${tenant.id} ${id} ${headers["cf-connecting-ip"]}`, ask: () => ask(headers) };
        });
        expect(count).toBe(most);
        expect(await expectLimited(response)).toMatch(/from this network address/);
        expect((await ask(newAddress())).status).not.toBe(429);
      }
    },
  );

  it("takes nothing of their key's once it is refused", async () => {
    const { id, key } = await makeBrowserKey(gateway, tenant.id);
    const headers = newAddress();
    const ask = (from: Record<string, string>) =>
      call("GET", "/v1/tasks", { ...bearer(key), ...page, ...from });
    const by = `${tenant.id} ${id} ${headers["cf-connecting-ip"]}`;
    const { response } = await beyond("visitorLists", by, async () => {
      for (let again = 0; again < 70; again++) await ask(headers);
      return ask(newAddress());
    });
    await expectError(response, "scope_denied");
  });

  it("counts for a network of IPv6 as one", async () => {
    const { id, key } = await makeBrowserKey(gateway, tenant.id);
    const ask = (ip: string) =>
      call("GET", `/v1/tasks/${taskId}`, { ...bearer(key), ...page, "cf-connecting-ip": ip });
    const by = `${tenant.id} ${id} 2001:db8:0:7::/64`;
    const { response } = await beyond("visits", by, () => ask("2001:db8:0:7::1"));
    await expectLimited(response);
    expect((await ask("2001:db8:0:8::1")).status).not.toBe(429);
  });

  it("keeps no other visitor from a client token, whatever its body is", async () => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    const headers = newAddress();
    const mint = (body: object, from: Record<string, string>) =>
      gateway.post("/v1/client-tokens", body, { ...bearer(key), ...page, ...from });
    for (let round = 0; round < 6; round++)
      await Promise.all(Array.from({ length: 100 }, () => mint({}, headers)));
    expect((await mint({ turnstile: "solved" }, newAddress())).status).toBe(201);
  });

  it("is no edit by a browser key, and by a token one that its address is counted for: at no call", async () => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    const token = await mintToken(gateway, tenant.key);
    const headers = newAddress();
    const bytes = await draw("png");
    const edit = (by: string) => askEdit(gateway, by, [bytes], { headers: { ...page, ...headers } });
    bindings.calls.length = 0;
    await expectError(await edit(key), "scope_denied");
    expect(bindings.calls).toEqual([]);
    const { response } = await beyond("submissions", headers["cf-connecting-ip"], () => edit(token));
    expect(await expectLimited(response)).toMatch(/submissions.*address/);
  });
});

it("a secret key from a page of another origin is counted before it is refused", async () => {
  const own = await makeKey(gateway, tenant.id, {});
  const ask = () => call("GET", "/v1/tasks", { ...bearer(own.key), origin: "https://evil.example" });
  await expectError(await ask(), "secret_key_in_browser");
  const { response } = await beyond("lists", `${tenant.id} ${own.id}`, ask);
  await expectLimited(response);
});

describe("a submission that was sent before", () => {
  it("is answered up to its key's limit, and costs no call beyond it", async () => {
    const own = await makeKey(gateway, tenant.id, {});
    const send = () =>
      gateway.post(generations, goodBody, { ...bearer(own.key), "idempotency-key": "order-1" });
    for (let again = 0; again < 2; again++) expect((await send()).status).toBe(200);
    const { response } = await beyond("submits", `${tenant.id} ${own.id}`, send);
    expect(await expectLimited(response)).toMatch(/submissions with this key/);
  });
});

describe("what visitors of a page make", () => {
  it("is limited by their network address for uploads", async () => {
    const token = await mintToken(gateway, tenant.key);
    const bytes = await draw("png");
    let headers = newAddress();
    const { count, response } = await beyondAnew("uploads", () => {
      headers = newAddress();
      return {
        by: headers["cf-connecting-ip"],
        ask: () => upload(gateway, token, bytes, { ...page, ...headers }),
      };
    });
    expect(count).toBe(10);
    expect(await expectLimited(response)).toMatch(/uploads.*address/);
    expect((await upload(gateway, token, bytes, { ...page, ...newAddress() })).status).toBe(201);
    expect((await upload(gateway, tenant.key, bytes, headers)).status).toBe(201);
  });

  it("is limited by their network address for client tokens", async () => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    const mint = (from: Record<string, string>) =>
      gateway.post("/v1/client-tokens", { turnstile: "solved" }, { ...bearer(key), ...page, ...from });
    const { count, response } = await beyondAnew("tokens", () => {
      const headers = newAddress();
      return { by: headers["cf-connecting-ip"], ask: () => mint(headers) };
    });
    expect(count).toBe(10);
    expect(await expectLimited(response)).toMatch(/tokens.*address/);
    expect((await mint(newAddress())).status).toBe(201);
    expect((await askForToken(gateway, tenant.key)).status).toBe(201);
  });
});

describe("a tenant's keys together", () => {
  it.each([
    ["reads", "tenantCalls", "/v1/tasks/:id"],
    ["lists", "tenantLists", "/v1/tasks"],
  ] as const)("have no more %s than their tenant, however many they are", async (_kind, limit, path) => {
    const own = await gateway.makeTenant();
    const other = await makeKey(gateway, own.id, {});
    const ask = (key: string) => call("GET", pathOf(path), bearer(key));
    const { response } = await beyond(limit, `${own.id} keys`, () => ask(own.key));
    expect(await expectLimited(response)).toMatch(/with this tenant's keys/);
    await expectLimited(await ask(other.key));
    const visitor = await mintToken(gateway, tenant.key, { end_user: "visitor-7" });
    expect((await ask(tenant.key)).status).toBe(200);
    expect((await call("GET", pathOf(path), { ...bearer(visitor), ...page })).status).toBe(200);
  });

  it("are not refused for what the tenant's visitors ask", async () => {
    const own = await gateway.makeTenant();
    const token = await mintToken(gateway, own.key, { end_user: "visitor-7" });
    const headers = { ...bearer(token), ...page };
    const { response } = await beyond("tenantLists", `${own.id} visitors`, () =>
      call("GET", "/v1/tasks", headers),
    );
    await expectLimited(response);
    expect((await call("GET", "/v1/tasks", bearer(own.key))).status).toBe(200);
  });
});

describe("a key that storage refuses", () => {
  const methods = [
    ["HEAD", () => `/v1/tasks/${taskId}`],
    ["GET", () => "/v1/tasks"],
    ["DELETE", () => `/v1/tasks/${taskId}`],
    ["POST", () => `/v1/tasks/${taskId}/cancel`],
    ["POST", () => generations],
    ["POST", () => "/v1/quote"],
  ] as const;

  /** Asks as a request that would be good. */
  const ask = (method: string, path: string, headers: Record<string, string>) =>
    gateway.fetch(path, {
      method,
      headers: { ...json, ...headers },
      ...(method === "POST" && { body: JSON.stringify(goodBody) }),
    });

  it.each(methods)("is read once, and counts as a failure of its address by %s", async (method, path) => {
    const revoked = await makeKey(gateway, tenant.id, {});
    await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${revoked.id}`);
    const from = newAddress();
    const once = () => ask(method, path(), { ...bearer(revoked.key), ...from });
    expect((await once()).status).toBe(401);
    expect(bindings.calls.length).toBeGreaterThan(0);
    bindings.calls.length = 0;
    expect((await once()).status).toBe(401);
    expect(bindings.calls).toEqual([]);

    const { response } = await beyond("failures", from["cf-connecting-ip"], once);
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("60");
    expect(bindings.calls).toEqual([]);
    expect((await ask(method, path(), { ...bearer(revoked.key), ...newAddress() })).status).toBe(401);
    // Neighbours with a good key are let in.
    const good = { ...bearer(tenant.key), ...from };
    expect((await ask("GET", `/v1/tasks/${taskId}`, good)).status).toBe(200);
  });

  it("counts as a failure when it is found out, too", async () => {
    const revoked = await makeKey(gateway, tenant.id, {});
    await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${revoked.id}`);
    const from = newAddress();
    const once = () => ask("HEAD", `/v1/tasks/${taskId}`, { ...bearer(revoked.key), ...from });
    const { response } = await beyond("failures", from["cf-connecting-ip"], once);
    expect(response.status).toBe(429);
  });

  it("is read again after some seconds", async () => {
    const revoked = await makeKey(gateway, tenant.id, {});
    await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${revoked.id}`);
    const once = () => ask("HEAD", `/v1/tasks/${taskId}`, bearer(revoked.key));
    await once();
    gateway.advance(9_999);
    bindings.calls.length = 0;
    await once();
    expect(bindings.calls).toEqual([]);
    gateway.advance(1);
    await once();
    expect(bindings.calls).toHaveLength(1);
  });

  it("does not speak for the key that made it, where it is a token that runs out meanwhile", async () => {
    const mint = () => mintToken(gateway, tenant.key, { end_user: "visitor-7" });
    const [first, second] = [await mint(), await mint()];
    const { signers, badKeys } = gateway.invocation();
    const token = await readToken(signers.tokens, first);
    if (!token) throw new Error("no token");
    const { tenantId, keyId } = token;
    const from = { origin: page.origin, sameOrigin: false };
    badKeys.keep({ kind: "token", tenantId, keyId, keyHash: null, token, page: from }, gateway.now());
    const read = (key: string) => ask("GET", `/v1/tasks/${taskId}`, { ...bearer(key), ...page });
    await expectError(await read(first), "invalid_key");
    expect((await read(second)).status).toBe(200);
  });

  it("says nothing of another key, nor of a token that has run out: that costs no read", async () => {
    const token = await mintToken(gateway, tenant.key, { ttl_seconds: 60, end_user: "visitor-7" });
    const read = () => ask("GET", `/v1/tasks/${taskId}`, { ...bearer(token), ...page });
    expect((await read()).status).toBe(200);
    gateway.advance(60_000);
    bindings.calls.length = 0;
    await expectError(await read(), "invalid_key");
    expect(bindings.calls).toEqual([]);
    expect((await ask("GET", `/v1/tasks/${taskId}`, bearer(tenant.key))).status).toBe(200);
  });
});

describe("a wrong key of the operator's", () => {
  it.each(["/readyz", "/admin/api/overview"])("counts as a failure of its address on %s", async (path) => {
    const from = newAddress();
    const wrong = () => gateway.fetch(path, { headers: { ...bearer("wrong"), ...from } });
    const { response } = await beyond("failures", from["cf-connecting-ip"], wrong);
    await expectLimited(response);
    for (const headers of [bearer(gateway.config.ADMIN_API_KEY), path === "/readyz" ? {} : undefined])
      if (headers) expect((await gateway.fetch(path, { headers: { ...headers, ...from } })).status).toBe(200);
  });
});
