/** Every field of a submit, at its bounds and beyond them. What breaks a rule costs the caller nothing. */
import { beforeAll, describe, expect, it } from "vitest";
import type { FieldName } from "../../../src/domain/task-request.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import {
  countTasks,
  deleteTasks,
  expectError,
  generations,
  goodBody,
  naming,
  read,
  submit,
} from "../../helpers/routes.ts";

const reference = "https://pictures.example/one.png";

/** One value of each JSON type; a field refuses all but its own. */
const samples = { string: "yes", number: 1, boolean: true, null: null, array: ["x"], object: { a: "b" } };
const typesBut = (...own: (keyof typeof samples)[]) =>
  Object.entries(samples)
    .filter(([type]) => !(own as string[]).includes(type))
    .map(([type, value]): [string, unknown] => [type, value]);

const pairs = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, "value"]));

/** A field that has no bad values here does not compile. */
const refused: Record<FieldName, [string, unknown][]> = {
  model: [
    ...typesBut("string"),
    ["missing", undefined],
    ["an empty text", ""],
    ["another model", "wan-2.5-image"],
    ["other capitals", "WAN-2.7-image"],
    ["white space around it", " wan-2.7-image"],
  ],
  prompt: [
    ...typesBut("string"),
    ["missing", undefined],
    ["an empty text", ""],
    ["spaces, tabs and new lines only", " \t\r\n "],
    ["wide and unbreakable spaces only", "\u3000\u00a0\u2003"],
    ["2,001 letters", "a".repeat(2_001)],
    ["2,001 emoji", "🌊".repeat(2_001)],
    ["2,001 letters and spaces around them", ` ${"a".repeat(2_001)} `],
  ],
  image_urls: [
    ...typesBut("array"),
    ["an empty list", []],
    ["five", Array(5).fill(reference)],
    ["a number in the list", [reference, 1]],
    ["null in the list", [null]],
    ["a list in the list", [[reference]]],
  ],
  n: [
    ...typesBut("number"),
    ["0", 0],
    ["6", 6],
    ["-1", -1],
    ["a fraction", 1.5],
    ["digits in a text", "2"],
    ["more than a number holds", 1e300],
  ],
  size: [
    ...typesBut("object"),
    ["an unknown preset", "portrait"],
    ["other capitals", "Square"],
    ["WxH", "1024x1024"],
    ["no height", { width: 1024 }],
    ["no width", { height: 1024 }],
    ["a width of 63", { width: 63, height: 1024 }],
    ["a height of 63", { width: 1024, height: 63 }],
    ["a width of 4,097", { width: 4_097, height: 1024 }],
    ["a height of 4,097", { width: 1024, height: 4_097 }],
    ["a fraction", { width: 1024.5, height: 1024 }],
    ["digits in texts", { width: "1024", height: "1024" }],
    ["null for a side", { width: 1024, height: null }],
    ["a third side", { width: 1024, height: 1024, depth: 1 }],
    ["no sides", {}],
  ],
  negative_prompt: [...typesBut("string"), ["501 letters", "a".repeat(501)], ["501 emoji", "🌊".repeat(501)]],
  seed: [
    ...typesBut("number"),
    ["-1", -1],
    ["2,147,483,648", 2_147_483_648],
    ["a fraction", 0.5],
    ["digits in a text", "7"],
  ],
  enable_safety_checker: [...typesBut("boolean"), ["0", 0], ["a text", "false"]],
  enable_prompt_expansion: [...typesBut("boolean"), ["0", 0], ["a text", "false"]],
  callback_url: typesBut("string"),
  metadata: [
    ...typesBut("object"),
    ["17 pairs", pairs(17)],
    ["a key of 65 letters", { ["k".repeat(65)]: "value" }],
    ["a value of 513 letters", { key: "v".repeat(513) }],
    ["a key of 65 emoji", { ["🌊".repeat(65)]: "value" }],
    ["a value of 513 emoji", { key: "🌊".repeat(513) }],
    ["a number for a value", { key: 1 }],
    ["null for a value", { key: null }],
    ["a pair within a pair", { key: { inner: "value" } }],
  ],
  end_user: [...typesBut("string"), ["129 letters", "u".repeat(129)], ["129 emoji", "🌊".repeat(129)]],
};

const editing = { image_urls: [reference] };
const cases = Object.entries(refused).flatMap(([field, values]) =>
  values.map(([what, value]) => ({ field, what, value })),
);

describe("a submit that breaks a field's rule", () => {
  const gateway = startGateway();
  let key = "";
  beforeAll(async () => {
    await deleteTasks();
    ({ key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } }));
  });

  it.each(cases)("is refused and names it: $field, $what", async ({ field, value }) => {
    const context = field === "enable_prompt_expansion" ? editing : {};
    const response = await submit(gateway, key, { ...context, [field]: value });
    expect(await expectError(response, "invalid_request", field)).toMatch(naming(field));
    expect(gateway.simulator.control.calls()).toEqual([]);
    expect(await countTasks()).toBe(0);
  });

  it.each(["model", "prompt"])("names one that is missing: %s", async (field) => {
    const response = await submit(gateway, key, { [field]: undefined });
    expect(await expectError(response, "invalid_request", field)).toBe(`${field}: is required`);
  });

  it.each([
    { what: "n of 5 with image_urls", field: "n", body: { ...editing, n: 5 } },
    {
      what: "enable_prompt_expansion without image_urls",
      field: "enable_prompt_expansion",
      body: { enable_prompt_expansion: true },
    },
    {
      what: "enable_prompt_expansion, even false, without image_urls",
      field: "enable_prompt_expansion",
      body: { enable_prompt_expansion: false },
    },
  ])("is refused for what its fields say together: $what", async ({ field, body }) => {
    expect(await expectError(await submit(gateway, key, body), "invalid_request", field)).toMatch(
      naming(field),
    );
    expect(gateway.simulator.control.calls()).toEqual([]);
    expect(await countTasks()).toBe(0);
  });
});

describe("submits that break a field's rule", () => {
  it("are not counted: after all of them the minute's one request is still there", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
    for (const { field, value } of cases) {
      expect((await submit(gateway, key, { ...editing, [field]: value })).status).toBe(400);
    }
    expect((await submit(gateway, key)).status).toBe(200);
    await expectError(await submit(gateway, key), "rate_limited");
  });
});

const accepted: { what: string; body: Record<string, unknown> }[] = [
  { what: "the other model", body: { model: "wan-2.7-image-pro" } },
  { what: "a prompt of one letter", body: { prompt: "海" } },
  { what: "a prompt of 2,000 letters", body: { prompt: "a".repeat(2_000) } },
  { what: "a prompt of 2,000 emoji", body: { prompt: "🌊".repeat(2_000) } },
  { what: "one reference", body: editing },
  { what: "four references", body: { image_urls: Array(4).fill(reference) } },
  { what: "n of 1", body: { n: 1 } },
  { what: "n of 5", body: { n: 5 } },
  { what: "n of 4 with references", body: { ...editing, n: 4 } },
  ...["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"].map(
    (size) => ({ what: size, body: { size } }),
  ),
  { what: "a width of 4,096", body: { size: { width: 4_096, height: 1_024 } } },
  { what: "a height of 4,096", body: { size: { width: 1_024, height: 4_096 } } },
  { what: "an empty negative prompt", body: { negative_prompt: "" } },
  { what: "a negative prompt of 500 letters", body: { negative_prompt: "a".repeat(500) } },
  { what: "a negative prompt of 500 emoji", body: { negative_prompt: "🌊".repeat(500) } },
  { what: "seed 0", body: { seed: 0 } },
  { what: "seed 2,147,483,647", body: { seed: 2_147_483_647 } },
  { what: "the safety checker on", body: { enable_safety_checker: true } },
  { what: "the safety checker off", body: { enable_safety_checker: false } },
  { what: "prompt expansion on", body: { ...editing, enable_prompt_expansion: true } },
  { what: "prompt expansion off", body: { ...editing, enable_prompt_expansion: false } },
];

describe("a submit at the bounds of a field's rule", () => {
  const gateway = startGateway();
  let key = "";
  beforeAll(async () => {
    ({ key } = await gateway.makeTenant({ limits: { concurrent_tasks: null, images_per_minute: null } }));
  });

  it.each(accepted)("is taken and reaches the upstream: $what", async ({ body }) => {
    expect((await submit(gateway, key, body)).status).toBe(200);
    expect(gateway.simulator.control.tasks().at(-1)?.body).toMatchObject(body);
  });

  it("is taken with sides of 64, which the upstream then judges", async () => {
    const size = { width: 64, height: 64 };
    const before = gateway.simulator.control.calls().length;
    await expectError(await submit(gateway, key, { size }), "invalid_parameters");
    expect(gateway.simulator.control.calls()).toHaveLength(before + 1);
  });

  it("counts a prompt's characters after trimming, and sends it trimmed", async () => {
    const prompt = "a".repeat(2_000);
    const response = await submit(gateway, key, { prompt: ` \n\u3000${prompt}\t ` });
    expect(await response.json()).toMatchObject({ input: { prompt } });
    expect(gateway.simulator.control.tasks().at(-1)?.body.prompt).toBe(prompt);
  });

  it.each([
    { what: "no pairs", metadata: {} },
    { what: "16 pairs", metadata: pairs(16) },
    { what: "a key of 64 letters and a value of 512", metadata: { ["k".repeat(64)]: "v".repeat(512) } },
    { what: "a key of 64 emoji and a value of 512", metadata: { ["🌊".repeat(64)]: "🌊".repeat(512) } },
    { what: "an empty value", metadata: { key: "" } },
  ])("keeps metadata as it is: $what", async ({ metadata }) => {
    const response = await submit(gateway, key, { metadata });
    expect(await response.json()).toMatchObject({ metadata });
  });

  it.each(["", "u", "u".repeat(128), "🌊".repeat(128)])(
    "keeps the end user as it is: %s",
    async (endUser) => {
      const response = await submit(gateway, key, { end_user: endUser });
      expect(await response.json()).toMatchObject({ end_user: endUser });
    },
  );

  it.each([
    [
      "a key of metadata that means something to JavaScript",
      '{"metadata":{"__proto__":"x","constructor":"y"},',
    ],
    ["half a surrogate pair", '{"end_user":"\\ud800x",'],
  ])("loses nothing without a word: %s is refused, or kept", async (_what, fields) => {
    const body = JSON.stringify(goodBody).replace("{", fields);
    const headers = { ...bearer(key), "content-type": "application/json" };
    const response = await gateway.fetch(generations, { method: "POST", headers, body });
    if (response.status === 400) return;
    const { id } = (await response.json()) as { id: string };
    const given = JSON.parse(body) as { metadata?: object; end_user?: string };
    const kept = (await (await read(gateway, key, id)).json()) as typeof given;
    expect(JSON.stringify(kept.metadata)).toBe(JSON.stringify(given.metadata ?? {}));
    // As JSON, which has an escape for half a pair; the runner's own channel has none.
    expect(JSON.stringify(kept.end_user)).toBe(JSON.stringify(given.end_user ?? null));
  });
});
