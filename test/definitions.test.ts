/** What is defined once: models, fields and bounds of a request, events. The sources and documents are searched for more. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { maxUrlCharacters } from "../src/domain/address.ts";
import { limitNames } from "../src/domain/admission.ts";
import { presetSizes, requestBounds } from "../src/domain/generation-fields.ts";
import { modelCatalog, models } from "../src/domain/model-catalog.ts";
import { pollSchedule } from "../src/domain/poll.ts";
import { fieldNames, inputSchemas } from "../src/domain/task-request.ts";
import { fileLifeHours, referenceSides } from "../src/domain/uploads.ts";
import { webhookEvents } from "../src/domain/webhooks.ts";
import { isolateLimits } from "../src/platform/call-counts.ts";
import { worstHours } from "./bench/worst-hour.ts";
import { mutations } from "./mutations/mutations.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (name: string) => readFileSync(join(root, name), "utf8");

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(tsx?|html)$/.test(name) && name !== "env.d.ts")
  .map((name) => ({ name: `src/${name}`, text: read(`src/${name}`) }));

/** Name, number and figure of each rate limit of Cloudflare's. */
const rateLimits = [
  ...read("wrangler.toml").matchAll(
    /\[\[ratelimits\]\]\nname = "(\w+)"\nnamespace_id = "(\d+)"\nsimple = \{ limit = (\d+), period = 60 \}/g,
  ),
].map(([, name = "", id = "", figure = ""]) => [name, id, figure] as const);

const linesOf = (files: typeof sources) =>
  files.flatMap(({ name, text }) => text.split("\n").map((line) => ({ name, line: line.trim() })));

describe("a model", () => {
  it("is named in the catalog alone", () => {
    expect(read("src/domain/model-catalog.ts")).toContain(models[0]);
    const elsewhere = linesOf(sources)
      .filter(({ name }) => name !== "src/domain/model-catalog.ts")
      .filter(({ line }) => models.some((model) => line.includes(model)));
    expect(elsewhere).toEqual([]);
  });

  it("is named in README.md", () => {
    for (const model of models) expect(read("README.md")).toContain(`\`${model}\``);
  });
});

/** Every number below an object. */
const numbersIn = (value: unknown): number[] =>
  typeof value === "number" ? [value] : Object.values(value as object).flatMap(numbersIn);

describe("a bound of a request", () => {
  const catalog = Object.values(modelCatalog);
  const sides = catalog.flatMap(({ sizes }) => numbersIn([sizes.generated, sizes.edited]).map(Math.sqrt));
  const limits = [
    requestBounds,
    referenceSides,
    maxUrlCharacters,
    catalog.map(({ bounds }) => bounds),
    sides,
  ];
  // 0 and 1 are everywhere, and bounds of nothing else.
  const bounds = new Set(numbersIn(limits).filter((value) => value > 1));
  const words = ["zero", "one", "two", "three", "four", "five"];
  const numberOf = (text: string) =>
    words.includes(text) ? words.indexOf(text) : Number(text.replaceAll(/[_,]/g, ""));

  /** The sources that have to do with a request's fields. */
  const files = sources.filter(({ name }) =>
    /^src\/(routes\/(tasks|openai|files)\/|routes\/account\/(quote|list-models|create-client-token)|upstream\/|web\/playground\/)/.test(
      name,
    ),
  );
  const number = "(\\d[\\d_,]*|two|three|four|five)";
  const rule = new RegExp(
    [
      `\\.(?:min|max|length|gte|lte)\\(${number}\\)`,
      `(?:min|max)(?:Length|imum|Items|Properties): ${number}`,
      `(?:at most|up to|one to|1 to|from|[<>]=?) ${number}`,
      // A duration is no bound of a field, whatever its number.
      `\\b(?!\\w*(?:Ms|Seconds)\\b)(?:[a-z]+(?:Most|Least|Max|Min)|(?:most|least|max|min|longest|shortest)[A-Z]\\w*) = ${number}`,
      `\\b\\d+ (?:to|[×x]) ${number}`,
    ].join("|"),
    "g",
  );
  const typed = (line: string) =>
    [...line.matchAll(rule)].map(([, ...groups]) =>
      numberOf(groups.find((group) => group !== undefined) ?? ""),
    );

  it("is found where it is typed", () => {
    expect(bounds.size).toBeGreaterThan(10);
    expect(files.length).toBeGreaterThan(40);
    for (const line of [
      "z.string().max(2_000)",
      "at most 4 with image_urls",
      "const maxSeed = 2_147_483_647",
    ])
      expect(typed(line).some((value) => bounds.has(value))).toBe(true);
  });

  it.each(["const maxReadMs = 2_000;", "const longestSeconds = 64;"])("is no duration: %s", (line) => {
    expect(typed(line)).toEqual([]);
  });

  it("is typed where it is defined alone", () => {
    // Numbers of something else: a reply's status, Turnstile's answers, the parts of a form.
    const others = /status|Turnstile|^const maxParts = /;
    const again = linesOf(files).filter(
      ({ line }) => !others.test(line) && typed(line).some((value) => bounds.has(value)),
    );
    expect(again).toEqual([]);
  });

  it("of many digits is in no other source at all", () => {
    const definitions = ["model-catalog", "generation-fields", "address", "uploads"].map(
      (name) => `src/domain/${name}.ts`,
    );
    // Round numbers are pauses and examples as well, and a URL's length is others' too.
    const large = [...bounds].filter(
      (value) => value > 2_000 && value % 1_000 !== 0 && value !== maxUrlCharacters,
    );
    expect(large).toEqual([requestBounds.side.most, requestBounds.seed.most]);
    const again = linesOf(sources)
      .filter(({ name }) => !definitions.includes(name))
      .filter(({ line }) =>
        [...line.matchAll(/\d[\d_,]*\d/g)].some(([text]) => large.includes(numberOf(text))),
      );
    expect(again).toEqual([]);
  });
});

describe("a preset size", () => {
  it("is named once, and once more where the pages draw it", () => {
    const named = linesOf(sources).filter(({ line }) => line.includes(presetSizes[0]));
    const files = new Set(named.map(({ name }) => name));
    expect(files).toEqual(
      new Set(["src/domain/generation-fields.ts", "src/web/playground/form/size-field.tsx"]),
    );
  });
});

describe("a field of a request", () => {
  it("that a page or a route names is one that there is", () => {
    const named = sources.flatMap(({ text }) => text.match(/\benable_\w+/g) ?? []);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !(fieldNames as string[]).includes(name))).toEqual([]);
  });
});

describe("an upload's life", () => {
  it("is said in docs/data.md and docs/cookbook/curl.md", () => {
    expect(read("docs/data.md")).toContain(
      `A row goes with its object, ${fileLifeHours} hours after the upload.`,
    );
    expect(read("docs/cookbook/curl.md")).toContain(`Its URL lives for ${fileLifeHours} hours.`);
  });

  it("is typed in no route", () => {
    const again = linesOf(sources)
      .filter(({ name }) => /^src\/(routes|flows)\/(files|openai)\//.test(name))
      .filter(({ line }) => /\b\d+ hours/.test(line));
    expect(again).toEqual([]);
  });
});

describe("the pace of polling", () => {
  const first = pollSchedule[0];
  const slowest = pollSchedule[pollSchedule.length - 1] ?? first;
  const [pace, until, least] = [first.everyMs, first.untilAgeMs, slowest.everyMs].map(
    (ms) => `${ms / 1_000} s`,
  );

  it("is said in docs/operations.md and docs/scaling.md", () => {
    expect(read("docs/operations.md")).toContain(
      `every ${pace} in its first ${until}, then slower, up to ${least}`,
    );
    expect(read("docs/scaling.md")).toContain(`polls a second, each task every ${pace} `);
  });

  it("for a reader is typed in no route", () => {
    const again = linesOf(sources)
      .filter(({ name }) => name.startsWith("src/routes/"))
      .filter(({ line }) => /\bevery \d+ s\b/.test(line));
    expect(again).toEqual([]);
  });
});

describe("a field of a task's input", () => {
  const [, described = ""] = /^`input`: (.*?)\n\n/ms.exec(read("docs/data.md")) ?? [];

  it.each(Object.keys(inputSchemas))("%s is in docs/data.md", (name) => {
    expect(described).toContain(`\`${name}\``);
  });
});

describe("a limit", () => {
  it.each(rateLimits)(
    "%s is in the table of docs/tenants-and-billing.md with its figure",
    (name, _id, figure) => {
      const shown = Number(figure).toLocaleString("en-US");
      expect(read("docs/tenants-and-billing.md")).toContain(`| \`${name}\` | ${shown} |`);
    },
  );

  it.each(Object.values(isolateLimits(12_000)))("of the isolate, %i, is in that table", (figure) => {
    expect(read("docs/tenants-and-billing.md")).toContain(
      `| the isolate | ${figure.toLocaleString("en-US")} |`,
    );
  });

  it.each(rateLimits)("%s counts under a number that no other Worker of the account has", (name, id) => {
    const hash = createHash("sha256").update(`wan-gateway ${name}`).digest();
    expect(id).toBe(String(hash.readUInt32BE() >>> 1));
  });

  it("each has a binding, and each binding is one", () => {
    const bound = read("src/platform/edge-limits.ts").matchAll(/: "(\w+)",$/gm);
    expect(new Set(rateLimits.map(([name]) => name))).toEqual(new Set([...bound].map(([, name]) => name)));
  });

  it.each([
    ["FOLLOWERS_PER_TASK", "replies wait for one task"],
    ["FOLLOWERS_PER_KEY", "of one key or token"],
  ])("of %s is in docs/tenants-and-billing.md as it is set", (name, text) => {
    const [, figure] = new RegExp(`^${name} = "(\\d+)"$`, "m").exec(read("wrangler.toml")) ?? [];
    expect(read("docs/tenants-and-billing.md").replaceAll("\n", " ")).toContain(`${figure} ${text}`);
  });

  it.each(worstHours(Object.fromEntries(rateLimits.map(([name, , figure]) => [name, Number(figure)]))))(
    "bounds what an hour of $who costs, as docs/threat-model.md says",
    ({ who, requests, tasks, rowsRead, rowsWritten, dollars }) => {
      const figures = [requests, tasks, rowsRead, rowsWritten].map((count) => count.toLocaleString("en-US"));
      expect(read("docs/threat-model.md")).toContain(
        `| ${[who, ...figures, dollars.toFixed(2)].join(" | ")} |`,
      );
    },
  );

  it.each(limitNames)("%s is in the table of docs/tenants-and-billing.md", (name) => {
    expect(read("docs/tenants-and-billing.md")).toContain(`| \`${name}\` |`);
  });
});

describe("an event", () => {
  it.each(webhookEvents)("%s is in the tables of docs/webhooks.md and docs/data.md", (event) => {
    expect(read("docs/webhooks.md")).toContain(`| \`${event}\` |`);
    expect(read("docs/data.md")).toMatch(new RegExp(`^\\| \`event\` \\|.*\`${event}\``, "m"));
  });
});

describe("a line that `npm run mutations` breaks", () => {
  it.each(mutations)("stands once in its file: $breaks", ({ file, line, tests }) => {
    expect(read(file).split(line)).toHaveLength(2);
    expect(tests).not.toEqual([]);
  });
});

describe("what is deployed", () => {
  it.each([
    [
      "reaches hosts as the public does, also those of its own zone",
      /^compatibility_flags = \["global_fetch_strictly_public"\]$/m,
    ],
    ["leaves URLs in no trace", /^\[observability\.traces\]\n(?:#.*\n)*enabled = false$/m],
    ["leaves URLs in no log of the platform's own", /^invocation_logs = false$/m],
  ])("%s", (_what, setting) => {
    expect(read("wrangler.toml")).toMatch(setting);
  });
});
