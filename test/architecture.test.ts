/** The tree's one-way streets: who may import whom, and who may touch clock, randomness and network. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** What each part of the tree may import beside itself. `index` is at the top, `domain` at the bottom. */
const mayImport: Record<string, string[]> = {
  domain: [],
  "errors.ts": [],
  "config.ts": ["domain"],
  store: ["domain"],
  upstream: ["domain"],
  tenant: ["domain", "store"],
  "deps.ts": ["domain", "config.ts", "store", "upstream", "tenant"],
  flows: ["domain", "deps.ts", "store", "upstream", "tenant"],
  routes: ["domain", "config.ts", "errors.ts", "deps.ts", "store", "upstream", "flows"],
  "app.ts": ["config.ts", "errors.ts", "deps.ts", "routes"],
  "index.ts": ["config.ts", "deps.ts", "tenant", "flows", "app.ts"],
  "zod.ts": [],
  web: [],
};

/** Packages by part; everything else is web standards. */
const mayUse: Record<string, RegExp> = {
  domain: /^(ipaddr\.js|image-size\/types\/\w+|standardwebhooks)$/,
  "errors.ts": /^hono\/utils\/http-status$/,
  "config.ts": /^zod$/,
  upstream: /^zod$/,
  tenant: /^cloudflare:workers$/,
  routes: /^(hono(\/.*)?|@hono\/zod-openapi|@remix-run\/multipart-parser|@vanillaes\/csv|zod)$/,
  "app.ts": /^hono\//,
  "index.ts": /^cloudflare:workers$/,
  "zod.ts": /^zod\/v4$/,
  web: /^(#gateway|preact(\/hooks)?|@tanstack\/preact-query|uplot|wouter-preact(\/.*)?|swagger-ui-dist\/.*)$/,
};

const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
  .map((name) => ({ name, part: name.split("/")[0] ?? "", text: readFileSync(join(src, name), "utf8") }));

const imports = files.flatMap(({ name, part, text }) =>
  [...text.matchAll(/^(?:import|export)[^;]*? from "([^"]+)";/gm)].map(([, specifier = ""]) => {
    const inside = specifier.startsWith(".");
    const target = inside ? relative(src, join(src, dirname(name), specifier)) : specifier;
    return { name, part, inside, target };
  }),
);

describe("the tree", () => {
  it("has imports to check", () => {
    expect(imports.length).toBeGreaterThan(100);
  });

  it("is imported one way only", () => {
    const wrong = imports.filter(({ part, inside, target }) => {
      const to = target.split("/")[0] ?? "";
      return inside && to !== part && !mayImport[part]?.includes(to);
    });
    expect(wrong).toEqual([]);
  });

  it("uses each package where it belongs", () => {
    const wrong = imports.filter(({ part, inside, target }) => !inside && !mayUse[part]?.test(target));
    expect(wrong).toEqual([]);
  });

  it("has one clock, one randomness and one fetch, all in deps.ts; the pages have the browser's", () => {
    const wild = /Date\.now\(|Math\.random\(|getRandomValues\(|randomUUID\(|(?<![.\w])fetch\(/;
    const wrong = files
      .filter(({ name }) => name !== "deps.ts" && name !== "web/ui/browser.ts")
      .flatMap(({ name, text }) => text.split("\n").map((line) => ({ name, line: line.trim() })))
      .filter(({ line }) => wild.test(line) && !/^(\*|\/\/|\/\*)|^fetch\(.*\) \{$|^fetch\(.*\): /.test(line));
    expect(wrong).toEqual([]);
  });

  it("is made of files that can be held in the head", () => {
    const long = files.filter(({ text }) => text.split("\n").length > 300).map(({ name }) => name);
    expect(long).toEqual([]);
  });
});
