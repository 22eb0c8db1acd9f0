/** The published contract is made of what validates and answers, so it cannot promise what is not there. */
import { beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../../src/app.ts";
import { models } from "../../../src/domain/model-catalog.ts";
import { isPage } from "../../helpers/documented.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { errorTable } from "../../helpers/routes.ts";

declare global {
  interface ImportMeta {
    glob(pattern: string): Record<string, unknown>;
  }
}

interface Schema {
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
  maxLength?: number;
  [keyword: string]: unknown;
}
interface Operation {
  operationId: string;
  summary?: string;
  security?: object[];
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: unknown }> }>;
}
interface Document {
  openapi: string;
  info: { title: string; version: string };
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, { type: string; scheme: string }> };
}

const gateway = startGateway();
let document: Document;
let operations: { method: string; path: string; operation: Operation }[] = [];
beforeAll(async () => {
  const response = await gateway.fetch("/openapi.json");
  expect(response.status).toBe(200);
  document = await response.json();
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
});

describe("/openapi.json", () => {
  it("is OpenAPI 3.1, for every caller and every page", async () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: "wan-gateway", version: expect.stringMatching(/\d/) });
    const { headers } = await gateway.fetch("/openapi.json", { headers: { origin: "https://shop.example" } });
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("content-type")).toMatch(/^application\/json\b/);
  });

  it("names the server that it was asked of, or the gateway's public address", async () => {
    expect(document.servers).toEqual([{ url: "https://gateway.example" }]);
    const behind = startGateway({ vars: { PUBLIC_BASE_URL: "https://images.shop.example" } });
    const other: Document = await (await behind.fetch("/openapi.json")).json();
    expect(other.servers).toEqual([{ url: "https://images.shop.example" }]);
  });

  it("has every route and method that the app has, and no other", () => {
    const registered = createApp(gateway.config, gateway.invocation)
      .routes.filter((route) => route.method !== "ALL" && !isPage(route.path))
      .map((route) => `${route.method} ${route.path.replace(/:(\w+)/g, "{$1}")}`);
    const documented = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(new Set(documented)).toEqual(new Set(registered));
    expect(documented.length).toBeGreaterThanOrEqual(12);
  });

  it("is found whole: each reference leads to something", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
      ([, path]) => path ?? "",
    );
    expect(references.length).toBeGreaterThan(0);
    for (const reference of new Set(references)) {
      const found = reference
        .split("/")
        .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document);
      expect([reference, typeof found]).toEqual([reference, "object"]);
    }
  });
});

describe("an operation", () => {
  it("has an id of its own and a summary", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of operations) {
      expect(operation.operationId).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(operation.summary).toMatch(/\S/);
    }
  });

  it("is called like the file that it is in", () => {
    const files = Object.keys(import.meta.glob("../../../src/routes/*/*.ts")).map((file) =>
      file.replace(/^.*\/|\.ts$/g, ""),
    );
    expect(files).toContain("create-image");
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(ids).toContain("create-tenant");
    expect(ids.filter((id) => !files.includes(id))).toEqual([]);
  });

  it("of the operator's is called by what it does to what", () => {
    const ids = operations
      .filter(({ path }) => path.startsWith("/admin/"))
      .map(({ method, path, operation }) => [`${method} ${path}`, operation.operationId]);
    expect(Object.fromEntries(ids)).toMatchObject({
      "post /admin/api/tenants": "create-tenant",
      "get /admin/api/tenants": "list-tenants",
      "get /admin/api/tenants/{id}": "get-tenant",
      "patch /admin/api/tenants/{id}": "change-tenant",
      "post /admin/api/tenants/{id}/keys": "create-key",
      "get /admin/api/tenants/{id}/keys": "list-keys",
      "delete /admin/api/tenants/{id}/keys/{key}": "revoke-key",
    });
  });

  it("says which key it wants", () => {
    for (const { path, operation } of operations) {
      const wanted = /^(\/openai)?\/v1\//.test(path)
        ? ["key"]
        : /^\/(admin|readyz)/.test(path)
          ? ["admin"]
          : [];
      // An `EventSource` sends no headers.
      if (path.endsWith("/events")) wanted.push("link");
      expect([path, (operation.security ?? []).flatMap((one) => Object.keys(one))]).toEqual([path, wanted]);
    }
    const { securitySchemes } = document.components;
    for (const name of ["key", "admin"]) {
      expect(securitySchemes[name]).toMatchObject({ type: "http", scheme: "bearer" });
    }
    expect(securitySchemes.link).toMatchObject({ type: "apiKey", in: "query", name: "token" });
    // The key is optional: it adds the checks to the status.
    expect(document.paths["/readyz"]?.get?.security).toEqual([{}, { admin: [] }]);
  });

  it("names all parameters of its path", () => {
    for (const { path, operation } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const named = (operation.parameters ?? []).filter((one) => one.in === "path").map((one) => one.name);
      expect([path, named]).toEqual([path, inPath]);
    }
  });
});

describe("a documented error", () => {
  const codesOf = ({ responses }: Operation) =>
    Object.entries(responses)
      .filter(
        ([status, { content }]) => Number(status) >= 400 && JSON.stringify(content ?? {}).includes("Error"),
      )
      .flatMap(([status, { description }]) =>
        [...description.matchAll(/`(\w+)`/g)].map(([, code = ""]) => ({ status: Number(status), code })),
      );

  it("is one that there is, under the status that it has", () => {
    for (const { operation } of operations) {
      for (const { status, code } of codesOf(operation)) {
        const known = Object.entries(errorTable).find(([name]) => name === code);
        expect([operation.operationId, code, known?.[1][0]]).toEqual([operation.operationId, code, status]);
      }
    }
  });

  it("has the one envelope", () => {
    for (const { operation } of operations) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (Number(status) < 400 || operation.operationId === "readyz") continue;
        // Where a reply waits for the task, its failure is one of the request: the same envelope with more codes.
        const waits = operation.operationId.startsWith("openai-") && ["400", "500"].includes(status);
        const name = waits && operation.requestBody ? "OpenAIError" : "Error";
        expect(content?.["application/json"]?.schema).toEqual({ $ref: `#/components/schemas/${name}` });
      }
    }
  });

  it("covers those that every operation with a key or a body can answer with", () => {
    for (const { path, method, operation } of operations) {
      const codes = codesOf(operation).map(({ code }) => code);
      const always = path === "/healthz" ? [] : ["misconfigured", "internal_error"];
      const withKey =
        operation.security && path !== "/readyz"
          ? ["missing_key", "invalid_key", "scope_denied", "unavailable"]
          : [];
      const ofTenant = path.startsWith("/v1/") ? ["tenant_suspended", "secret_key_in_browser"] : [];
      const body = operation.requestBody?.content;
      const withBody = body ? ["invalid_request", "body_too_large", "unsupported_media_type"] : [];
      if (body?.["application/json"]) withBody.push("invalid_json");
      const expected = [...always, ...withKey, ...ofTenant, ...withBody];
      expect([`${method} ${path}`, codes]).toEqual([`${method} ${path}`, expect.arrayContaining(expected)]);
    }
  });
});

describe("the documented body of a submit", () => {
  it("has exactly the fields that are taken, with their bounds", () => {
    const schema =
      document.paths["/v1/images/generations"]?.post?.requestBody?.content["application/json"]?.schema;
    expect(schema?.required?.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(["model", "prompt"]);
    expect(schema?.additionalProperties).toBe(false);
    const fields = schema?.properties ?? {};
    expect(new Set(Object.keys(fields))).toEqual(
      new Set([
        "model",
        "prompt",
        "image_urls",
        "n",
        "size",
        "negative_prompt",
        "seed",
        "enable_safety_checker",
        "enable_prompt_expansion",
        "callback_url",
        "metadata",
        "end_user",
      ]),
    );
    expect(fields).toMatchObject({
      model: { enum: models },
      prompt: { type: "string", minLength: 1, maxLength: 2_000 },
      image_urls: { type: "array", minItems: 1, maxItems: 4, items: { type: "string", maxLength: 2_048 } },
      n: { type: "integer", minimum: 1, maximum: 5, default: 1 },
      negative_prompt: { type: "string", maxLength: 500 },
      seed: { type: "integer", minimum: 0, maximum: 2_147_483_647 },
      enable_safety_checker: { type: "boolean" },
      enable_prompt_expansion: { type: "boolean" },
      callback_url: { type: "string", maxLength: 2_048 },
      end_user: { type: "string", maxLength: 128 },
    });
  });
});
