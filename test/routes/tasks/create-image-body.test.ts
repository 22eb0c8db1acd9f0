/** The body of a submit as a whole: its form, its size, its type, and what is said when much is wrong with it. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { bearer, origin, startGateway } from "../../helpers/gateway.ts";
import {
  type Code,
  expectError,
  expectNothingBut,
  generations,
  goodBody,
  naming,
  submit,
} from "../../helpers/routes.ts";

const gateway = startGateway();
let key = "";
beforeAll(async () => {
  ({ key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } }));
});

/** Sends a body as it is; bytes and streams, unlike texts, bring no type of their own. */
function send(body: BodyInit, type: string | null = "application/json"): Promise<Response> {
  const headers = type === null ? bearer(key) : { ...bearer(key), "content-type": type };
  return gateway.fetch(generations, { method: "POST", headers, body });
}

const expectRefused = (ask: () => Promise<Response>, code: Code, param: string | null = null) =>
  expectNothingBut(gateway, ask, code, param);

const good = JSON.stringify(goodBody);
const encoder = new TextEncoder();
const padded = (bytes: number) => good.padEnd(bytes, " ");

function streamOf(chunks: string[]): ReadableStream {
  const rest = chunks.values();
  return new ReadableStream({
    pull(controller) {
      const { done, value } = rest.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
  });
}

describe("a body that breaks off", () => {
  it("is the caller's fault, and no error of the gateway's", async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(encoder.encode(good.slice(0, 20)));
        controller.error(new Error("connection lost"));
      },
    });
    await expectRefused(() => send(body), "invalid_request");
  });
});

describe("a body that stalls", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => vi.useRealTimers());

  it.each([
    ["in chunks", "application/json", {}],
    ["of a length", "application/json", { "content-length": "100" }],
    ["that is too long", "application/json", { "content-length": "100000" }],
    ["of another type", "text/plain", {}],
  ])("is given up after 10 s, and answered so: one %s", async (_what, type, headers) => {
    // A pipe is what a connection's body is: it fails the read that waits when it is cancelled.
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const sent = writer.write(encoder.encode('{"model"')).catch(() => undefined);
    const ask = gateway.fetch(generations, {
      method: "POST",
      headers: { ...bearer(key), "content-type": type, ...headers },
      body: readable,
    });
    await sent;
    await vi.advanceTimersByTimeAsync(9_999);
    expect(await Promise.race([ask, "waits"])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1);
    const message = await expectError(
      await ask,
      type === "text/plain" ? "unsupported_media_type" : "invalid_request",
    );
    expect(message).toMatch(/^The body (?:came too slowly: 30 s at the most|must be JSON)/);
  });
});

describe("a body that is compressed", () => {
  it.each(["gzip", "br", "GZIP", "gzip, identity"])("is refused for that: %s", async (coding) => {
    const headers = { ...bearer(key), "content-type": "application/json", "content-encoding": coding };
    const ask = () => gateway.fetch(generations, { method: "POST", headers, body: good });
    expect(await expectRefused(ask, "unsupported_media_type")).toMatch(/Content-Encoding/);
  });
});

describe("a body that is not the JSON of an object", () => {
  it.each([
    "{",
    '{"model":',
    "{'model':'wan-2.7-image'}",
    `${good},`,
    `${good}${good}`,
    "undefined",
    "NaN",
    " ",
  ])("is refused as no JSON: %s", async (text) => {
    await expectRefused(() => send(text), "invalid_json");
  });

  it("is refused as no JSON when it is empty", async () => {
    await expectRefused(() => send(""), "invalid_json");
    const headers = { ...bearer(key), "content-type": "application/json" };
    await expectRefused(() => gateway.fetch(generations, { method: "POST", headers }), "invalid_json");
  });

  it.each(["null", "true", "1", '"text"', "[]", `[${good}]`])("is refused as no object: %s", async (text) => {
    await expectRefused(() => send(text), "invalid_request");
  });
});

describe("a body's size", () => {
  it.each([
    ["one byte over 64 KiB", padded(65_537)],
    ["65 KiB", padded(65 * 1024)],
    ["2 MiB", padded(2 * 1024 * 1024)],
    [
      "fewer characters than 65,536, but more bytes",
      JSON.stringify({ ...goodBody, prompt: "海".repeat(30_000) }),
    ],
    ["65 KiB that is no JSON", "x".repeat(65 * 1024)],
  ])("is refused: %s", async (_what, text) => {
    await expectRefused(() => send(text), "body_too_large");
  });

  it("is counted as it comes when no header says it ahead", async () => {
    await expectRefused(() => send(streamOf(Array(65).fill(" ".repeat(1024)))), "body_too_large");
  });
});

describe("a body's type", () => {
  it.each([
    null,
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/jsonp",
    "application/json-seq",
    "xapplication/json",
    "image/png",
  ])("is refused when it is not JSON's: %s", async (type) => {
    await expectRefused(() => send(encoder.encode(good), type), "unsupported_media_type");
  });
});

describe("a field that is not one", () => {
  it.each(["response_format", "quality", "user", "N", "Model", "model ", "constructor", "toString"])(
    "is refused by its name: %j",
    async (name) => {
      const ask = () => send(JSON.stringify({ ...goodBody, [name]: "x" }));
      expect(await expectRefused(ask, "invalid_request", name)).toMatch(naming(name));
    },
  );

  it.each(["a.b", "image_urls.0", " "])("is named whole: %j", async (name) => {
    const ask = () => send(JSON.stringify({ ...goodBody, [name]: 1 }));
    await expectRefused(ask, "invalid_request", name);
  });

  it("is refused by its name even when it is __proto__", async () => {
    const ask = () => send(good.replace("{", '{"__proto__":{"n":5},'));
    expect(await expectRefused(ask, "invalid_request", "__proto__")).toContain("__proto__");
  });

  it("is refused together with the others", async () => {
    const ask = () => submit(gateway, key, { quality: "hd", style: "vivid" });
    const message = await expectRefused(ask, "invalid_request", "quality");
    expect(message).toMatch(naming("style"));
  });
});

describe("several broken fields", () => {
  it("are all named, and the first is the param", async () => {
    const broken = {
      model: "dall-e-3",
      prompt: " ",
      image_urls: [],
      n: 0,
      size: "huge",
      negative_prompt: "a".repeat(501),
      seed: -1,
      enable_safety_checker: "yes",
      enable_prompt_expansion: "yes",
      callback_url: "http://hooks.example/",
      metadata: [],
      end_user: 1,
      quality: "hd",
    };
    const message = await expectRefused(() => send(JSON.stringify(broken)), "invalid_request", "model");
    for (const name of Object.keys(broken)) expect(message).toMatch(naming(name));
  });

  it("have the first of them as the param, wherever they are", async () => {
    const ask = () => submit(gateway, key, { seed: -1, metadata: { a: 1 } });
    const message = await expectRefused(ask, "invalid_request", "seed");
    expect(message).toMatch(naming("metadata"));
  });

  const tooMany = { image_urls: ["https://pictures.example/one.png"], n: 5 };
  it.each([
    ["n", "seed", { ...tooMany, seed: -1 }],
    ["n", "seed", { ...tooMany, seed: "7" }],
    ["n", "quality", { ...tooMany, quality: "hd" }],
    ["enable_prompt_expansion", "model", { model: "dall-e-3", enable_prompt_expansion: true }],
    ["callback_url", "seed", { callback_url: `${origin}/hook`, seed: "7" }],
  ])("are all named when %s is broken by what goes together and %s by itself", async (one, other, fields) => {
    const message = await expectError(
      await submit(gateway, key, fields),
      "invalid_request",
      expect.any(String),
    );
    expect(message).toMatch(naming(one));
    expect(message).toMatch(naming(other));
  });
});

describe("a body at its bounds", () => {
  it("is not counted when it is refused, and is taken at exactly 64 KiB", async () => {
    const counted = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    const sendCounted = (body: string, type = "application/json") =>
      gateway.fetch(generations, {
        method: "POST",
        headers: { ...bearer(counted.key), "content-type": type },
        body,
      });
    await expectError(await sendCounted("{"), "invalid_json");
    await expectError(await sendCounted("[]"), "invalid_request");
    await expectError(await sendCounted(good, "text/plain"), "unsupported_media_type");
    await expectError(await sendCounted(padded(65_537)), "body_too_large");
    await expectError(
      await sendCounted(JSON.stringify({ ...goodBody, quality: "hd" })),
      "invalid_request",
      "quality",
    );
    expect((await sendCounted(padded(65_536))).status).toBe(200);
    await expectError(await sendCounted(good), "rate_limited");
  });

  it.each([
    "application/json",
    "application/json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "APPLICATION/JSON",
    "application/json ; charset=utf-8",
  ])("is taken under any spelling of JSON's type: %s", async (type) => {
    gateway.advance(60_000);
    expect((await send(good, type)).status).toBe(200);
  });

  it("is taken in many small chunks", async () => {
    gateway.advance(60_000);
    const chunks = good.match(/.{1,5}/g) ?? [];
    expect((await send(streamOf(chunks))).status).toBe(200);
  });
});
