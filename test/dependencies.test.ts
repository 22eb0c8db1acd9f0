/**
 * What `npm ci` installs: every package by its hash, from npm's registry, under a licence that the product may be used
 * with. Read from the lock file, so that no network is needed.
 */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

interface Locked {
  version?: string;
  integrity?: string;
  resolved?: string;
  link?: boolean;
  license?: string;
  dev?: boolean;
}

const lockText = await readFile(new URL("../package-lock.json", import.meta.url), "utf8");
const { packages } = JSON.parse(lockText) as { packages: Record<string, Locked> };
const installed = Object.entries(packages).filter(([path]) => path !== "");
const nameOf = (path: string) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

/** Ask for nothing but that their text goes along. */
const permissive = [
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "Unlicense",
  "Zlib",
];
/** Run in builds and tests only, and are part of nothing that is given on. */
const onlyHere: [name: RegExp, license: string][] = [
  [/^@img\/sharp-/, "LGPL-3.0-or-later"],
  [/^lightningcss(-|$)/, "MPL-2.0"],
  [/^(@axe-core\/playwright|axe-core)$/, "MPL-2.0"],
  [/^argparse$/, "Python-2.0"],
  [/^argparse$/, "PSF-2.0"],
];

function isAllowed(path: string, { license = "", dev }: Locked): boolean {
  const isFine = (one: string) =>
    permissive.includes(one) ||
    (dev === true && onlyHere.some(([name, theirs]) => theirs === one && name.test(nameOf(path))));
  return license
    .replace(/^\(|\)$/g, "")
    .split(" OR ")
    .some((choice) => choice.split(" AND ").every(isFine));
}

const pathsOf = (bad: (path: string, locked: Locked) => boolean) =>
  installed.filter(([path, locked]) => bad(path, locked)).map(([path]) => path);

describe("each package of the lock file", () => {
  it("is there", () => {
    expect(installed.length).toBeGreaterThan(100);
  });

  it("is known by its hash", () => {
    expect(pathsOf((_path, { integrity }) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ""))).toEqual(
      [],
    );
  });

  it("is of the registry, and no folder, repository or other address", () => {
    expect(
      pathsOf(
        (_path, { resolved, version, link }) =>
          link === true ||
          !/^\d+\.\d+\.\d+/.test(version ?? "") ||
          (resolved !== undefined && !resolved.startsWith("https://registry.npmjs.org/")),
      ),
    ).toEqual([]);
  });

  it("has a licence of the list", () => {
    expect(pathsOf((path, locked) => !isAllowed(path, locked))).toEqual([]);
  });
});

describe("the list of licences", () => {
  it.each<[string, Locked, boolean]>([
    ["node_modules/one", { license: "MIT" }, true],
    ["node_modules/one", { license: "(MIT AND Zlib)" }, true],
    ["node_modules/one", { license: "(AFL-2.1 OR BSD-3-Clause)" }, true],
    ["node_modules/one", { license: "MIT AND AGPL-3.0-only" }, false],
    ["node_modules/one", { license: "AGPL-3.0-only" }, false],
    ["node_modules/one", {}, false],
    ["node_modules/one", { license: "SEE LICENSE IN LICENSE" }, false],
    ["node_modules/lightningcss", { license: "MPL-2.0", dev: true }, true],
    ["node_modules/lightningcss", { license: "MPL-2.0" }, false],
    ["node_modules/other", { license: "MPL-2.0", dev: true }, false],
  ])("of %s with %j is held against: %s", (path, locked, allowed) => {
    expect(isAllowed(path, locked)).toBe(allowed);
  });
});
