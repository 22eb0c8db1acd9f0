/** The file host behind result links: each way in which a picture can be missing, moved, mislabelled or cut. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { AGENT, API_KEY, serveSimulator } from "../helpers/node/simulator-fixture.ts";
import type { Rule } from "./app.ts";
import type { Format, Serve } from "./script.ts";

const simulator = serveSimulator();
const HOUR_MS = 3_600_000;

type PictureRule = Extract<Rule, { on: "picture" }>;
function onPicture(behaviour: PictureRule["do"], times?: number): Rule {
  return { on: "picture", do: behaviour, ...(times === undefined ? {} : { times }) };
}

async function served(serve: Serve): Promise<Response> {
  simulator.script(onPicture({ kind: "serve", ...serve }));
  return simulator.picture(await simulator.link());
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

describe("pictures", () => {
  it.each<[Format, string, number, number]>([
    ["png", "square_hd", 1024, 1024],
    ["jpeg", "portrait_16_9", 576, 1024],
    ["webp", "landscape_4_3", 1024, 768],
  ])("are real: %s %s", async (format, size, width, height) => {
    simulator.script({ on: "submit", do: { kind: "plan", format } });
    const link = await simulator.link({ size });
    const response = await simulator.picture(link);
    expect(response.headers.get("content-type")).toBe(`image/${format}`);
    const bytes = await bytesOf(response);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(await sharp(bytes).metadata()).toMatchObject({ format, width, height });
    expect((await sharp(bytes).stats()).entropy).toBeGreaterThan(2);
  });

  it("have the size that was asked, follow the seed, and differ within a task", async () => {
    const size = { width: 1200, height: 800 };
    const { id } = await simulator.submit({ size, n: 2, seed: 5 });
    const again = await simulator.link({ size, n: 1, seed: 5 });
    const [first = "", second = ""] = await simulator.linksOf(id);
    const [one, two, same] = await Promise.all(
      [first, second, again].map(async (link) => bytesOf(await simulator.picture(link))),
    );
    expect(await sharp(one).metadata()).toMatchObject(size);
    expect(two).not.toEqual(one);
    expect(same).toEqual(one);
  });
});

describe("who may have them", () => {
  it.each(["", "node", "undici", "Mozilla/5.0 (X11; Linux)"])("not the User-Agent %j", async (agent) => {
    const link = await simulator.link();
    expect((await simulator.picture(link, { headers: { "user-agent": agent } })).status).toBe(403);
  });

  it("only the product, when scripted so", async () => {
    simulator.script(onPicture({ kind: "strict_agent" }));
    const link = await simulator.link();
    expect((await simulator.picture(link, { headers: { "user-agent": "curl/8.5" } })).status).toBe(403);
    expect((await simulator.picture(link)).status).toBe(200);
  });

  it("no caller that shows the key, or lacks the signature", async () => {
    const link = await simulator.link();
    const withKey = [
      simulator.picture(link, { headers: { "user-agent": AGENT, authorization: `Bearer ${API_KEY}` } }),
      simulator.picture(link, { headers: { "user-agent": AGENT, "x-trace": `k=${API_KEY}` } }),
      simulator.picture(`${link}&key=${API_KEY.replaceAll("-", "%2D")}`),
    ];
    for (const reply of await Promise.all(withKey)) expect(reply.status).toBe(400);
    expect(
      simulator
        .control()
        .calls()
        .filter((call) => call.status === 400),
    ).toHaveLength(3);
    expect((await simulator.picture(link.split("?")[0] ?? "")).status).toBe(403);
  });
});

describe("links", () => {
  it("404, for the next calls only, and for one image only", async () => {
    const { id } = await simulator.submit({ n: 2 });
    simulator.control().advance(8000);
    const [first = "", second = ""] = await simulator.linksOf(id);
    const gone: Rule = { on: "picture", times: 1, match: { image: 1 }, do: { kind: "reply", status: 404 } };
    simulator.script(gone);
    expect((await simulator.picture(first)).status).toBe(200);
    expect((await simulator.picture(second)).status).toBe(404);
    expect((await simulator.picture(second)).status).toBe(200);
  });

  it("410 after 24 hours, and fresh on a new read when so planned", async () => {
    const stale = await simulator.link();
    simulator.script({ on: "submit", do: { kind: "plan", links: "fresh" } });
    const { id } = await simulator.submit();
    simulator.control().advance(23 * HOUR_MS);
    const [early = ""] = await simulator.linksOf(id);
    expect((await simulator.picture(stale)).status).toBe(200);
    simulator.control().advance(HOUR_MS);
    expect((await simulator.picture(stale)).status).toBe(410);
    expect((await simulator.picture(early)).status).toBe(200);
    simulator.control().advance(24 * HOUR_MS);
    expect((await simulator.picture(early)).status).toBe(410);
    const [late = ""] = await simulator.linksOf(id);
    expect((await simulator.picture(late)).status).toBe(200);
  });

  it("dead at first, good from a later read", async () => {
    const { id } = await simulator.submit({ prompt: "a hill [sim:stale-links]" });
    simulator.control().advance(8000);
    const [dead = ""] = await simulator.linksOf(id);
    const [good = ""] = await simulator.linksOf(id);
    expect((await simulator.picture(dead)).status).toBe(404);
    expect((await simulator.picture(good)).status).toBe(200);
    expect((await simulator.picture(dead)).status).toBe(404);
  });

  it("without extension, or elsewhere", async () => {
    simulator.script({ on: "submit", do: { kind: "plan", extension: "", origin: "http://169.254.169.254" } });
    expect(await simulator.link()).toMatch(/^http:\/\/169\.254\.169\.254\/files\/[^.]+\?sign=/);
  });

  it.each(["absolute", "relative"] as const)("six redirects, %s, by a rule for one call", async (form) => {
    simulator.script(onPicture({ kind: "redirect", hops: 6, form }, 1));
    let at = await simulator.link();
    for (let hop = 0; hop < 6; hop++) {
      const response = await simulator.picture(at);
      expect(response.status).toBe(302);
      const location = response.headers.get("location") ?? "";
      expect(location.startsWith("http")).toBe(form === "absolute");
      at = new URL(location, at).href;
    }
    expect((await simulator.picture(at)).status).toBe(200);
  });

  it.each<[string, Extract<PictureRule["do"], { kind: "redirect" }>, RegExp]>([
    ["to http", { kind: "redirect", form: "http" }, /^http:\/\//],
    ["to a private address", { kind: "redirect", form: "private", status: 307 }, /^http:\/\/10\.0\.0\.7/],
    ["to anything", { kind: "redirect", location: "//[::1]/x" }, /^\/\/\[::1\]\/x$/],
    ["to nowhere", { kind: "redirect", location: "" }, /^$/],
  ])("redirect %s", async (_, behaviour, expected) => {
    simulator.script(onPicture(behaviour));
    const response = await simulator.picture(await simulator.link());
    expect(response.status).toBe(behaviour.status ?? 302);
    expect(response.headers.get("location") ?? "").toMatch(expected);
  });

  it("a redirect loop", async () => {
    simulator.script(onPicture({ kind: "redirect", form: "loop" }));
    await expect(simulator.picture(await simulator.link(), { redirect: "follow" })).rejects.toThrow(
      TypeError,
    );
  });

  it("reset, silence, HTML with 200", async () => {
    const link = await simulator.link();
    simulator.script(onPicture({ kind: "reset" }, 1));
    await expect(simulator.picture(link)).rejects.toThrow(TypeError);
    simulator.script(onPicture({ kind: "hang" }, 1));
    const caller = new AbortController();
    const silent = simulator.picture(link, { signal: caller.signal });
    await expect.poll(() => simulator.control().calls().at(-1)?.status).toBe("hang");
    caller.abort();
    await expect(silent).rejects.toThrow("abort");
    simulator.script(onPicture({ kind: "reply", status: 200, html: "<h1>Sign in</h1>" }));
    expect((await simulator.picture(link)).headers.get("content-type")).toContain("text/html");
  });
});

describe("bytes", () => {
  it.each(["application/octet-stream", "image/gif", "text/html"])("typed %s", async (type) => {
    expect((await served({ type })).headers.get("content-type")).toBe(type);
  });

  it("without a type", async () => {
    expect((await served({ type: null })).headers.has("content-type")).toBe(false);
  });

  it.each<Format>(["jpeg", "webp"])("a .png that is %s", async (format) => {
    simulator.script(onPicture({ kind: "serve", format }));
    const link = await simulator.link();
    const response = await simulator.picture(link);
    expect([new URL(link).pathname.endsWith(".png"), response.headers.get("content-type")]).toEqual([
      true,
      "image/png",
    ]);
    expect(await sharp(await bytesOf(response)).metadata()).toMatchObject({ format });
  });

  it("of other dimensions than asked", async () => {
    const bytes = await bytesOf(await served({ width: 640, height: 480 }));
    expect(await sharp(bytes).metadata()).toMatchObject({ width: 640, height: 480 });
  });

  it("truncated with an honest length, once", async () => {
    simulator.script(onPicture({ kind: "serve", keepShare: 0.5 }, 1));
    const link = await simulator.link();
    const half = await bytesOf(await simulator.picture(link));
    const whole = await bytesOf(await simulator.picture(link));
    expect(half.length).toBe(Math.floor(whole.length / 2));
    await expect(sharp(half).raw().toBuffer()).rejects.toThrow();
  });

  it("empty", async () => {
    expect((await bytesOf(await served({ keepBytes: 0 }))).length).toBe(0);
  });

  it("without Content-Length", async () => {
    const response = await served({ length: "absent" });
    expect(response.headers.has("content-length")).toBe(false);
    expect(await sharp(await bytesOf(response)).metadata()).toMatchObject({ format: "png" });
  });

  it.each<[string, Serve]>([
    ["cut off within the declared length", { keepShare: 0.5, length: "whole" }],
    ["declared longer than they are", { length: 10_000_000 }],
    ["cut off without a length", { keepShare: 0.5, length: "absent", ending: "reset" }],
  ])("%s", async (_, serve) => {
    const response = await served(serve);
    expect(response.status).toBe(200);
    await expect(response.arrayBuffer()).rejects.toThrow(TypeError);
    expect(simulator.control().calls().at(-1)).toMatchObject({ body: "broken" });
  });

  it("declared shorter than they are", async () => {
    const response = await served({ length: 100 });
    expect(response.headers.get("content-length")).toBe("100");
    await response.arrayBuffer().then(
      (bytes) => expect(bytes.byteLength).toBe(100),
      () => undefined,
    );
  });

  it.each<[string, Serve]>([
    ["a slow drip", { dripBytes: 10, dripMs: 5 }],
    ["a body that stalls", { keepBytes: 100, length: "whole", ending: "stall" }],
  ])("%s stops when the reader leaves", async (_, serve) => {
    const reader = (await served(serve)).body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    expect(value?.length).toBeGreaterThanOrEqual(10);
    await reader?.cancel();
    const lastCall = () => simulator.control().calls().at(-1);
    await expect.poll(() => lastCall()?.body).toBe("stopped");
    expect(lastCall()?.sentBytes).toBeLessThan(10_000);
  });

  it.each<[Format, number]>([
    ["png", 3_000_001],
    ["jpeg", 3_000_001],
    ["webp", 3_000_002],
  ])("over a size and still a valid %s", async (format, padToBytes) => {
    const bytes = await bytesOf(await served({ format, padToBytes }));
    expect(bytes.length).toBe(padToBytes);
    expect(await sharp(bytes).raw().toBuffer({ resolveWithObject: true })).toMatchObject({
      info: { width: 512 },
    });
  });
});
