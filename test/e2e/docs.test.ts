/**
 * `/docs` as a reader gets it, in a real browser: every operation is there, nothing is asked of another host, and the
 * page lives with its own Content-Security-Policy.
 */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type CheckedPage, openPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();
let page: Page;
let reference: CheckedPage;

beforeAll(async () => {
  reference = await openPage(browser, `${gateway.url}/docs`);
  page = reference.page;
  await page.locator(".opblock").first().waitFor();
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
    expect(reference.elsewhere).toEqual([]);
  });

  it("complains of nothing, and breaks no rule of its policy", () => {
    expect(reference.complaints).toEqual([]);
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
    for (const path of ["/docs.html", "/assets/none.js", "/assets/..%2fdocs", "/index.html"]) {
      const response = await fetch(`${gateway.url}${path}`);
      expect([path, response.status]).toEqual([path, 404]);
      expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
    }
    const posted = await fetch(`${gateway.url}/docs`, { method: "POST" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });
});
