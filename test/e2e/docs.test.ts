/**
 * `/docs` as a reader gets it, in a real browser: every operation is there, nothing is asked of another host, and the
 * page lives with its own Content-Security-Policy.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startBrowser } from "./browser.ts";
import { type BuiltGateway, startBuiltGateway } from "./harness.ts";

let gateway: BuiltGateway;
let browser: Browser;
let page: Page;
/** What the page asked for, from whom, and what it complained about. */
const asked: string[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  gateway = await startBuiltGateway();
  browser = await startBrowser();
  page = await browser.newPage();
  // Whatever it is that leaves the page: also what a policy stops, which is no request yet.
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`violates ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
    });
  });
  await page.goto(`${gateway.url}/docs`);
  await page.locator(".opblock").first().waitFor();
});
afterAll(async () => {
  await browser.close();
  await gateway.close();
});

describe("/docs", () => {
  it("shows every operation, and what there is to know of one", async () => {
    const document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, object>>;
    };
    const wanted = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const shown = await page.locator(".opblock-tag-section .opblock").evaluateAll((blocks) =>
      blocks.map((block) => {
        const method = block.querySelector(".opblock-summary-method")?.textContent;
        return `${method} ${block.querySelector(".opblock-summary-path")?.getAttribute("data-path")}`;
      }),
    );
    expect(shown.toSorted()).toEqual(wanted.toSorted());

    const submit = page.locator("[data-path='/v1/images/generations']");
    await submit.click();
    const opened = page.locator(".opblock.is-open");
    await opened.locator(".responses-table").waitFor();
    const text = (await opened.textContent()) ?? "";
    for (const expected of [
      "a lighthouse at dusk",
      "429",
      "quota_exceeded",
      "idempotency-key",
      "ratelimit-policy",
    ]) {
      expect(text).toContain(expected);
    }
  });

  it("asks nothing of any other host", () => {
    const elsewhere = asked.filter((url) => !url.startsWith("data:") && new URL(url).origin !== gateway.url);
    expect(elsewhere).toEqual([]);
    expect(asked).toContain(`${gateway.url}/openapi.json`);
  });

  it("complains of nothing, and breaks no rule of its policy", () => {
    expect(complaints).toEqual([]);
  });

  it("comes with a policy that lets no script run but the page's own", async () => {
    for (const path of ["/docs", "/assets/docs.js"]) {
      const { status, headers } = await fetch(`${gateway.url}${path}`, { method: "HEAD" });
      expect([path, status]).toEqual([path, 200]);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';");
      expect(policy).not.toMatch(/unsafe|https?:|\*/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-request-id")).toMatch(/^req-/);
    }
  });

  it("gives way to the API, whose errors stay its own", async () => {
    for (const path of ["/docs.html", "/assets/none.js", "/assets/..%2fdocs", "/"]) {
      const response = await fetch(`${gateway.url}${path}`);
      expect([path, response.status]).toEqual([path, 404]);
      expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
    }
    const posted = await fetch(`${gateway.url}/docs`, { method: "POST" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });
});
