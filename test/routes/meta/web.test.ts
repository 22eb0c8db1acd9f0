/** The pages beside the API: built or not, and with assets that answer or fail. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createApp } from "../../../src/app.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";

const gateway = startGateway();

/** Asks a gateway whose assets answer so. */
function ask(path: string, assets: (request: Request) => Promise<Response>, init: RequestInit = {}) {
  const invocation = () => ({ ...gateway.invocation(), assets: { fetch: assets as Fetcher["fetch"] } });
  const request = new Request(`https://gateway.example${path}`, init);
  return createApp(gateway.config, invocation).fetch(request, env, {} as ExecutionContext);
}

const built = async (request: Request) =>
  new Response(request.method === "HEAD" ? null : `<page> ${new URL(request.url).pathname}`, {
    headers: { "content-type": "text/html", etag: '"1"' },
  });

describe("a page", () => {
  it("is served with what keeps it to itself", async () => {
    for (const path of ["/", "/admin"]) expect(await (await ask(path, built)).text()).toBe(`<page> ${path}`);
    const response = await ask("/docs", built);
    expect([response.status, await response.text()]).toEqual([200, "<page> /docs"]);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-security-policy": expect.stringMatching(
        /^default-src 'none'; script-src 'self'; style-src 'self';/,
      ),
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "x-request-id": expect.stringMatching(/^req-/),
      etag: '"1"',
    });
    const head = await ask("/docs", built, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  it("may call the gateway, and show its pictures, where they are published, and no other host", async () => {
    const vars = {
      PUBLIC_BASE_URL: "https://images.shop.example",
      PUBLIC_IMAGE_BASE_URL: "https://cdn.shop.example",
    };
    const published = startGateway({ vars });
    const invocation = () => ({ ...published.invocation(), assets: { fetch: built as Fetcher["fetch"] } });
    const request = new Request("https://gateway.example/docs");
    const response = await createApp(published.config, invocation).fetch(
      request,
      env,
      {} as ExecutionContext,
    );
    const policy = response.headers.get("content-security-policy")?.split("; ");
    expect(policy).toContain("connect-src 'self' https://images.shop.example");
    expect(policy).toContain(
      "img-src 'self' data: blob: https://images.shop.example https://cdn.shop.example",
    );
  });

  it("that was not built, or is none, is an error of the API's", async () => {
    const none = async () => new Response("<h1>404</h1>", { status: 404 });
    for (const path of ["/docs", "/assets/none.js"]) await expectError(await ask(path, none), "not_found");
  });

  it("whose assets fail is unavailable", async () => {
    await expectError(await ask("/docs", () => Promise.reject(new Error("gone"))), "unavailable");
  });

  it("never takes the place of the API", async () => {
    for (const path of ["/healthz", "/openapi.json", "/v1/models", "/images/img-x.png", "/nothing"]) {
      expect(await (await ask(path, built)).text()).not.toContain("<page>");
    }
  });
});
