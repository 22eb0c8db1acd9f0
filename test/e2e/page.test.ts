/**
 * The gateway from a real page, in a real browser, on another origin: what a frontend does all day works with a
 * client token, the picture is the page's to read, and a secret key is refused before it can do harm.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();
let site: Server;
let page: Page;
let key: string;

beforeAll(async () => {
  key = await gateway.makeKey();
  site = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>A shop</title>");
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  page = await browser.newPage();
  await page.goto(siteUrl());
});
afterAll(async () => {
  site.close();
});

const siteUrl = () => `http://localhost:${(site.address() as AddressInfo).port}/`;

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Record<string, unknown>;
}

/** Calls the gateway from the page, as its own script would. */
function call(method: string, path: string, bearer: string, body?: object): Promise<Answer> {
  const url = `${gateway.url}${path}`;
  return page.evaluate(
    async ([url, method, bearer, text]) => {
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${bearer}`, ...(text && { "content-type": "application/json" }) },
        ...(text && { body: text }),
      });
      const headers = Object.fromEntries(response.headers);
      return { status: response.status, headers, body: await response.json() };
    },
    [url, method, bearer, body ? JSON.stringify(body) : ""] as const,
  );
}

async function mintToken(fields: object = {}): Promise<string> {
  const response = await fetch(`${gateway.url}/v1/client-tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ allowed_origins: ["http://localhost:*"], ...fields }),
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as { token: string }).token;
}

const picture = { model: "wan-2.7-image", prompt: "a lighthouse [sim:seconds=0]", size: "square" };

describe("a page on another origin", () => {
  it("submits with a client token, follows, shows the picture and reads it back", async () => {
    const token = await mintToken();
    const submitted = await call("POST", "/v1/images/generations", token, picture);
    expect(submitted.status).toBe(200);
    // What a page may read of a reply from another origin is what the gateway exposes.
    expect(submitted.headers).toMatchObject({
      location: `/v1/tasks/${submitted.body.id}`,
      ratelimit: expect.stringContaining('"images"'),
      "x-request-id": expect.any(String),
    });
    await gateway.tick();
    const { body: task } = await call("GET", `/v1/tasks/${submitted.body.id}`, token);
    expect(task).toMatchObject({ status: "completed", images: [{ width: 512, height: 512 }] });
    expect(JSON.stringify(task.usage)).not.toContain("credits");
    const [url] = task.results as string[];

    const pixels = await page.evaluate(async (src) => {
      const image = new Image();
      image.crossOrigin = "anonymous";
      image.src = src;
      await image.decode();
      document.body.append(image);
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d");
      context?.drawImage(image, 0, 0);
      // Throws when the picture's origin does not let pages read it.
      return context?.getImageData(0, 0, canvas.width, canvas.height).data.length;
    }, String(url));
    expect(pixels).toBe(512 * 512 * 4);
  });

  it("reads what is wrong in the reply", async () => {
    const { status, body } = await call("POST", "/v1/images/generations", await mintToken(), {
      ...picture,
      n: 9,
    });
    expect([status, body]).toMatchObject([400, { error: { code: "invalid_request", param: "n" } }]);
  });

  it("is refused with a token for another origin, once it is spent, and with a secret key", async () => {
    const refusal = async (bearer: string) => {
      const { status, body } = await call("POST", "/v1/images/generations", bearer, picture);
      return [status, (body.error as { code: string }).code];
    };
    const elsewhere = await mintToken({ allowed_origins: ["https://shop.example"] });
    expect(await refusal(elsewhere)).toEqual([403, "origin_not_allowed"]);
    const short = await mintToken({ max_images: 1 });
    expect((await call("POST", "/v1/images/generations", short, picture)).status).toBe(200);
    expect(await refusal(short)).toEqual([403, "token_spent"]);
    expect(await refusal(key)).toEqual([403, "secret_key_in_browser"]);
  });
});
