/** How every route answers unknown paths, other methods and failing bindings. */
import { beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { isPage } from "../helpers/documented.ts";
import { draw, fileOf, pathOf, upload } from "../helpers/files.ts";
import { bearer, startGateway, submitTask } from "../helpers/gateway.ts";
import { expectError, generations, goodBody, storePicture } from "../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
let taskId = "";
let picture = "";
let file = { path: "", id: "" };
beforeAll(async () => {
  tenant = await gateway.makeTenant();
  picture = (await storePicture(gateway, tenant.key, "webp")).path;
  const uploaded = await fileOf(await upload(gateway, tenant.key, await draw("png")));
  file = { path: pathOf(uploaded), id: uploaded.id };
  taskId = (await submitTask(gateway, tenant.key)).id;
});

const asTenant = () => bearer(tenant.key);
const asOperator = () => bearer(gateway.config.ADMIN_API_KEY);
const withoutKey = () => ({});

interface KnownRoute {
  /** As the app registers it. */
  route: string;
  path: () => string;
  allow: string[];
  who: () => Record<string, string>;
}

const read = ["GET", "HEAD"];

/** Every route, with the methods that it takes. */
const takes: Record<string, string[]> = {
  "/v1/images/generations": ["POST"],
  "/v1/tasks": read,
  "/v1/tasks/:id": [...read, "DELETE"],
  "/v1/end-users/:id": ["DELETE"],
  "/v1/tasks/:id/cancel": ["POST"],
  "/v1/tasks/:id/events": read,
  "/images/:file": read,
  "/v1/files": ["POST"],
  "/v1/files/:id": ["DELETE"],
  "/files/:file": read,
  "/admin/api/tenants": [...read, "POST"],
  "/admin/api/tenants/:id": [...read, "PATCH", "DELETE"],
  "/admin/api/tenants/:id/keys": [...read, "POST"],
  "/admin/api/tenants/:id/keys/:key": ["DELETE"],
  "/admin/api/tenants/:id/keys/:key/rotate": ["POST"],
  "/admin/api/tenants/:id/credits": ["POST"],
  "/admin/api/tenants/:id/ledger": read,
  "/admin/api/usage": read,
  "/admin/api/tasks": read,
  "/admin/api/tasks/:id": read,
  "/admin/api/tasks/:id/refresh": ["POST"],
  "/admin/api/tasks/:id/fail": ["POST"],
  "/admin/api/webhooks": read,
  "/admin/api/webhooks/:id/retry": ["POST"],
  "/admin/api/overview": read,
  "/admin/api/audit": [...read, "POST"],
  "/admin/api/audit/full": ["POST"],
  "/admin/api/tenants/:id/archive/restore": ["POST"],
  "/v1/models": read,
  "/openai/v1/models": read,
  "/openai/v1/images/generations": ["POST"],
  "/openai/v1/images/edits": ["POST"],
  "/v1/quote": ["POST"],
  "/v1/client-tokens": ["POST"],
  "/v1/keys": [...read, "POST"],
  "/v1/keys/:key": ["DELETE"],
  "/v1/keys/:key/rotate": ["POST"],
  "/v1/webhook": [...read, "PUT", "PATCH", "DELETE"],
  "/v1/webhook/rotate": ["POST"],
  "/v1/webhook/deliveries": read,
  "/v1/webhook/deliveries/:id/retry": ["POST"],
  "/v1/usage": read,
  "/v1/ledger": read,
  "/healthz": read,
  "/readyz": read,
  "/openapi.json": read,
  "/": read,
  "/admin": read,
  "/docs": read,
  "/assets/:file": read,
};

const routes = Object.entries(takes).map(([route, allow]): KnownRoute => {
  const isTenants = /^\/(openai\/)?v1\//.test(route);
  const who = isTenants ? asTenant : route.startsWith("/admin/") ? asOperator : withoutKey;
  const id = () => (route.includes("/tasks/") ? taskId : route.includes("/files/") ? file.id : tenant.id);
  const places: Record<string, () => string> = {
    "/images/:file": () => picture,
    "/files/:file": () => file.path,
  };
  const path = () => places[route]?.() ?? route.replace(":id", id()).replace(":key", tenant.keyId);
  return { route, path, allow, who };
});

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"];

describe("a route that is not there", () => {
  it.each([
    "/nothing",
    "/v2/images",
    "/v1",
    "/v1/",
    "/v1/images",
    "/v1/tasks/",
    "/v1/tasks/x/y",
    "/openai/v1/x",
    "/index.php",
  ])("is not found, with any method: %s", async (path) => {
    for (const method of ["GET", "POST", "DELETE", "PROPFIND"]) {
      const response = await gateway.fetch(path, { method, headers: asTenant() });
      await expectError(response, "not_found");
    }
  });

  it.each(["/admin/api", "/admin/api/", "/admin/api/nothing", "/admin/api/tenants/x/nothing"])(
    "is not found by the operator either: %s",
    async (path) => {
      await expectError(await gateway.fetch(path, { headers: asOperator() }), "not_found");
    },
  );

  it("asks for a key first, where one is needed", async () => {
    await expectError(await gateway.fetch("/v1/nothing"), "missing_key");
    await expectError(await gateway.fetch("/admin/api/nothing"), "missing_key");
    await expectError(await gateway.fetch("/v1/tasks/x", { method: "DELETE" }), "missing_key");
  });

  it("is not found under HEAD, without a body", async () => {
    const response = await gateway.fetch("/nothing", { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([404, ""]);
    expect(response.headers.get("x-request-id")).toMatch(/^\S{16,}$/);
  });

  it("is not matched by other capitals or doubled slashes", async () => {
    await expectError(await gateway.fetch("/HEALTHZ"), "not_found");
    await expectError(await gateway.fetch("//healthz"), "not_found");
  });
});

describe("a method that a route does not take", () => {
  it("is tested for every route that there is", () => {
    const app = createApp(gateway.config, gateway.invocation);
    const registered = app.routes.filter((route) => route.method !== "ALL").map((route) => route.path);
    expect(routes.map((known) => known.route).toSorted(byText)).toEqual(
      [...new Set(registered)].toSorted(byText),
    );
  });

  it.each(routes)("is refused, naming those that it does: $route", async ({ path, allow, who }) => {
    for (const method of methods.filter((one) => !allow.includes(one))) {
      const response = await gateway.fetch(path(), { method, headers: who() });
      const allowed = (response.headers.get("allow") ?? "").split(/, */);
      expect(allowed.filter((one) => one !== "OPTIONS").toSorted(byText)).toEqual(allow.toSorted(byText));
      if (method !== "HEAD") await expectError(response, "method_not_allowed");
      else expect([response.status, await response.text()]).toEqual([405, ""]);
    }
  });

  // Pages are made by the build, which these tests do without.
  const readable = routes.filter(({ allow, route }) => allow.includes("HEAD") && !isPage(route));
  it.each(readable)("is not HEAD where it takes GET: $route", async ({ path, who }) => {
    const get = await gateway.fetch(path(), { headers: who() });
    const head = await gateway.fetch(path(), { method: "HEAD", headers: who() });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
    expect(head.headers.get("cache-control")).toBe(get.headers.get("cache-control"));
  });
});

describe("every reply", () => {
  it("carries an id of its own", async () => {
    const replies = [
      await gateway.fetch("/healthz"),
      await gateway.fetch("/readyz"),
      await gateway.fetch("/openapi.json"),
      await gateway.fetch("/nothing"),
      await gateway.fetch("/v2", {}),
      await gateway.fetch(picture),
      await gateway.fetch(picture, { headers: { "if-none-match": "*" } }),
      await gateway.fetch("/images/x.png"),
      await gateway.fetch(file.path),
      await gateway.fetch("/files/x.png"),
      await gateway.fetch("/images/x/y/z"),
      await gateway.fetch(generations, { method: "OPTIONS" }),
      await gateway.fetch("/healthz", { method: "POST" }),
      await gateway.fetch("/v1/nothing"),
      await gateway.fetch(`/v1/tasks/${taskId}`, { headers: asTenant() }),
      await gateway.post(generations, goodBody, asTenant()),
      await gateway.post(generations, {}, asTenant()),
      await gateway.admin("GET", "/tenants"),
      await gateway.admin("GET", "/nothing"),
    ];
    const ids = replies.map((reply) => reply.headers.get("x-request-id") ?? reply.url);
    expect(new Set(ids).size).toBe(replies.length);
    for (const id of ids) expect(id).toMatch(/^[\w-]{16,}$/);
  });

  it("has an id that the caller cannot choose", async () => {
    const response = await gateway.fetch("/healthz", { headers: { "x-request-id": "req-chosen-by-caller" } });
    expect(response.headers.get("x-request-id")).not.toBe("req-chosen-by-caller");
  });

  it("says of an error that it may not be stored", async () => {
    for (const response of [
      await gateway.fetch("/nothing"),
      await gateway.fetch("/images/x.png"),
      await gateway.fetch("/v1/tasks/x", { headers: asTenant() }),
    ]) {
      expect(response.headers.get("cache-control")).toBe("no-store");
    }
  });
});

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
