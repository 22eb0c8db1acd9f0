/** The tree's one-way streets: who may import whom, and who may touch clock, randomness and network. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** What each part of the tree may import beside itself. `index` is at the top, `domain` at the bottom. */
const mayImport: Record<string, string[]> = {
  domain: [],
  "errors.ts": [],
  "config.ts": ["domain"],
  d1: ["domain"],
  upstream: ["domain"],
  tenant: ["domain", "d1"],
  platform: ["domain", "config.ts", "upstream", "tenant"],
  flows: ["domain", "platform", "d1", "upstream", "tenant"],
  http: ["domain", "errors.ts", "platform"],
  routes: ["domain", "config.ts", "errors.ts", "platform", "d1", "upstream", "flows", "http"],
  "app.ts": ["domain", "config.ts", "errors.ts", "platform", "http", "routes"],
  "index.ts": ["config.ts", "platform", "tenant", "flows", "app.ts"],
  "zod.ts": [],
  "no-json-schema.ts": [],
  "zod-unused.ts": [],
  "hono-unused.ts": [],
  "no-openapi-generator.ts": [],
  web: [],
};

/** A capability has one name, the same in each layer that has a folder for it. */
const capabilities = [
  ...["tasks", "images", "files", "webhooks", "tenants", "erasure", "archive", "cron"],
  // Of routes alone: dialects and audiences.
  ...["openai", "account", "admin", "meta"],
];

/** Packages by part; everything else is web standards. */
const mayUse: Record<string, RegExp> = {
  domain: /^(ipaddr\.js|zod)$/,
  "errors.ts": /^hono\/utils\/http-status$/,
  "config.ts": /^zod$/,
  upstream: /^zod$/,
  tenant: /^cloudflare:workers$/,
  http: /^(hono(\/.*)?|@hono\/zod-openapi|@remix-run\/multipart-parser|@vanillaes\/csv|zod)$/,
  routes: /^(hono(\/.*)?|@hono\/zod-openapi|@remix-run\/multipart-parser|zod)$/,
  "app.ts": /^hono\//,
  "index.ts": /^cloudflare:workers$/,
  "zod.ts": /^zod\/v4$/,
  "no-json-schema.ts": /^zod\/v4\/core\//,
  web: /^(#gateway|#definitions|preact(\/hooks)?|@tanstack\/preact-query|uplot(\/dist\/uPlot\.min\.css)?|wouter-preact(\/.*)?|swagger-ui-dist\/.*)$/,
};

const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts") && !name.startsWith("web/build/"))
  .map((name) => ({ name, part: name.split("/")[0] ?? "", text: readFileSync(join(src, name), "utf8") }));

/** Whatever a file names another one by: what it takes from it, for its effects alone, later, or as a type. */
const importing = /^(?:import|export)[^;"]*? from "([^"]+)"|^import "([^"]+)"|\bimport\(\s*"([^"]+)"/gm;

const imports = files.flatMap(({ name, part, text }) =>
  [...text.matchAll(importing)].map(([, from, effects, later]) => {
    const specifier = from ?? effects ?? later ?? "";
    // A package may be named by where it lies, too.
    const [, packaged] = /^\.\.\/node_modules\/(.+)$/.exec(specifier) ?? [];
    const inside = specifier.startsWith(".") && !packaged;
    const target = packaged ?? (inside ? relative(src, join(src, dirname(name), specifier)) : specifier);
    return { name, part, inside, target };
  }),
);

describe("the tree", () => {
  it("has imports to check", () => {
    expect(imports.length).toBeGreaterThan(100);
  });

  it("has no layer and no file for what has no place", () => {
    const parts = readdirSync(src).filter((name) => name !== "env.d.ts");
    expect(new Set(parts)).toEqual(new Set(Object.keys(mayImport)));
    const placeless = /(^|\/)(utils?|helpers?|lib|misc|common|types|constants|services?|index)(\/|\.tsx?$)/;
    expect(files.map(({ name }) => name).filter((name) => placeless.test(name))).toEqual(["index.ts"]);
  });

  it("is imported one way only", () => {
    const wrong = imports.filter(({ part, inside, target }) => {
      const to = target.split("/")[0] ?? "";
      return inside && to !== part && !mayImport[part]?.includes(to);
    });
    expect(wrong).toEqual([]);
  });

  it("has no circles", () => {
    const edges = Map.groupBy(
      imports.filter(({ inside }) => inside),
      ({ name }) => name,
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (name: string, path: string[]): void => {
      if (path.includes(name)) circles.push([...path.slice(path.indexOf(name)), name].join(" → "));
      if (path.includes(name) || done.has(name)) return;
      for (const { target } of edges.get(name) ?? []) visit(target, [...path, name]);
      done.add(name);
    };
    for (const { name } of files) visit(name, []);
    expect(circles).toEqual([]);
  });

  it("gives each file of a layer a name of its own", () => {
    const layers = files
      // A component is named like its folder, and both pages have a form and a sign-in.
      .filter(({ name, part }) => part !== "web" || basename(name, ".tsx") !== basename(dirname(name)))
      .map(({ name, part }) => `${part}: ${basename(name)}`);
    expect(layers.filter((name, index) => layers.indexOf(name) !== index)).toEqual([]);
  });

  it("has each capability under one name in every layer", () => {
    const folders = files
      .filter(({ part }) => ["routes", "flows", "d1", "http", "tenant", "domain", "platform"].includes(part))
      .flatMap(({ name }) => name.split("/").slice(1, -1));
    const tested = ["routes", "flows", "d1"].flatMap((layer) =>
      readdirSync(join(src, "..", "test", layer), { withFileTypes: true }).filter((one) => one.isDirectory()),
    );
    const named = new Set([...folders, ...tested.map(({ name }) => name)]);
    expect([...named].filter((folder) => !capabilities.includes(folder))).toEqual([]);
  });

  it("uses each package where it belongs", () => {
    const wrong = imports.filter(({ part, inside, target }) => !inside && !mayUse[part]?.test(target));
    expect(wrong).toEqual([]);
  });

  it("has one clock, one randomness and one fetch, all in the invocation; the pages have the browser's", () => {
    const wild =
      /Date\.now\(|new Date\(\)|performance\.now|Math\.random|getRandomValues|randomUUID|globalThis\.fetch|(?<![.\w])fetch\(/;
    const wrong = files
      // An object's alarm has no invocation, and makes keys of what it closes.
      .filter(
        ({ name }) => !["platform/invocation.ts", "web/ui/browser.ts", "tenant/closing.ts"].includes(name),
      )
      .flatMap(({ name, text }) => text.split("\n").map((line) => ({ name, line: line.trim() })))
      .filter(({ line }) => wild.test(line) && !/^(\*|\/\/|\/\*)|^fetch\(.*\) \{$|^fetch\(.*\): /.test(line));
    expect(wrong).toEqual([]);
  });

  it("is made of files that can be held in the head", () => {
    const sized = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(tsx?|css|html|sql)$/.test(name) && name !== "env.d.ts")
      .map((name) => ({ name, lines: readFileSync(join(src, name), "utf8").trimEnd().split("\n").length }));
    expect(new Set(sized.map(({ name }) => extname(name)))).toEqual(
      new Set([".ts", ".tsx", ".css", ".html", ".sql"]),
    );
    expect(sized.filter(({ lines }) => lines > 300)).toEqual([]);
  });
});

describe("the pages", () => {
  const names = readdirSync(join(src, "web"), { recursive: true, encoding: "utf8" });
  const scripts = files.filter(({ part }) => part === "web");

  it("have a folder a screen, with the component named like it", () => {
    const folders = new Set(scripts.map(({ name }) => dirname(name)).filter((folder) => folder !== "web/ui"));
    expect(folders.size).toBeGreaterThan(10);
    const unnamed = [...folders].filter(
      (folder) =>
        !scripts.some(({ name }) => /^(.*)\.tsx?$/.exec(name)?.[1] === join(folder, basename(folder))),
    );
    expect(unnamed).toEqual([]);
  });

  it("import each style sheet beside the component that it is for", () => {
    const sheets = names.filter((name) => name.endsWith(".css")).map((name) => join("web", name));
    expect(sheets.length).toBeGreaterThan(10);
    const stray = sheets.filter(
      (sheet) =>
        !scripts.some(
          ({ name, text }) =>
            dirname(name) === dirname(sheet) && text.includes(`import "./${basename(sheet)}";`),
        ),
    );
    // Both pages begin with these two, and their own parts overrule them.
    expect(stray).toEqual(["web/ui/base.css", "web/ui/controls.css"]);
  });
});
