import { describe, expect, it } from "vitest";
import { answeredJson, simulated } from "../helpers/upstream-client.ts";

const a = "https://files.example/a.png?sign=1";
const b = "https://media.example/b";
const c = "http://cdn.example:8080/c.webp";

/** The links that a completed task is read to have. */
async function linksOf(fields: object): Promise<string[] | undefined> {
  const outcome = await answeredJson({ id: "task-1", status: "completed", progress: 100, ...fields }).read();
  return outcome.kind === "task" ? outcome.seen.links : undefined;
}

describe("the links of a completed task", () => {
  it.each<[string, object]>([
    ["results", { results: [a, b, c] }],
    ["results that are objects with url", { results: [{ url: a }, { url: b }, { url: c }] }],
    [
      "results that are objects with image_url",
      { results: [{ image_url: a }, { image_url: b }, { image_url: c }] },
    ],
    ["result_data, an array of objects", { result_data: [{ image_url: a }, { url: b }, { url: c }] }],
    ["result_data, an array of texts", { result_data: [a, b, c] }],
    ["result_data, beside empty results", { results: [], result_data: [{ url: a }, b, { image_url: c }] }],
    ["result_data, beside results that are null", { results: null, result_data: [a, b, c] }],
    [
      "results, though result_data has others",
      { results: [a, b, c], result_data: [{ url: "https://x.example/" }] },
    ],
  ])("are found in %s, in their order", async (_where, fields) => {
    expect(await linksOf(fields)).toEqual([a, b, c]);
  });

  it.each<[string, object]>([
    ["an object with image_url", { result_data: { image_url: a, seed: 1 } }],
    ["an object with url", { result_data: { url: a } }],
    ["an object with both: the picture's own", { result_data: { image_url: a, url: b } }],
    ["an object with url beside an image_url of another type", { result_data: { image_url: 7, url: a } }],
    ["an object with url beside an empty image_url", { result_data: { image_url: "", url: a } }],
    ["a text", { result_data: a }],
  ])("are found in result_data, %s", async (_what, fields) => {
    expect(await linksOf(fields)).toEqual([a]);
  });

  it.each(["results", "result_data_object", "result_data_array"] as const)(
    "are found where the simulator puts them: %s",
    async (carrier) => {
      const { submit, simulator } = simulated();
      simulator.control.script({ on: "submit", do: { kind: "plan", seconds: 0, carrier } });
      const outcome = await submit();
      const links = outcome.kind === "accepted" ? outcome.seen.links : [];
      expect(links).toHaveLength(carrier === "result_data_object" ? 1 : 2);
      for (const link of links) expect(new URL(link).pathname).toMatch(/^\/files\/.*\.png$/);
    },
  );

  it("count once when they are repeated", async () => {
    expect(await linksOf({ results: [a, b, a, a, b] })).toEqual([a, b]);
    expect(await linksOf({ result_data: [{ url: a }, { image_url: a }] })).toEqual([a]);
  });

  it("leave out what is no link", async () => {
    const odd = [
      "",
      " ",
      "a.png",
      "/files/a.png",
      "//files.example/a.png",
      "https://",
      7,
      null,
      true,
      {},
      [],
      [a],
    ];
    expect(await linksOf({ results: [...odd, a, { url: "nonsense" }, { link: b }, b] })).toEqual([a, b]);
  });

  it.each([
    "data:image/png;base64,iVBORw0KGgo=",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "blob:x",
    "about:blank",
  ])("leave out %s, which no caller can fetch", async (link) => {
    expect(await linksOf({ results: [link, a] })).toEqual([a]);
  });

  it("are those of result_data when results hold none that could be fetched", async () => {
    expect(await linksOf({ results: [null, "", "about:blank"], result_data: [{ url: a }] })).toEqual([a]);
  });

  it.each([undefined, null, [], {}, "", "none", 7, { image_url: null }])(
    "are none when result_data is %j and results are missing",
    async (...given) => {
      const result_data = given.length === 1 ? given[0] : given;
      expect(await linksOf({ result_data })).toEqual([]);
      expect(await linksOf({ results: [], result_data })).toEqual([]);
    },
  );

  it("may be fewer or more than were asked for, which is for others to judge", async () => {
    expect(await linksOf({ results: [a] })).toEqual([a]);
    const many = Array.from({ length: 9 }, (_, index) => `https://files.example/${index}`);
    expect(await linksOf({ results: many })).toEqual(many);
  });
});
