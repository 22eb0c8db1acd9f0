/**
 * The cookbook as its readers have it: each code block is taken from `docs/cookbook`, so that what is tested is what is
 * printed. A fence whose info string names a file (```` ```ts openai.ts ````) is a file to save, one without is for the shell.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const cookbook = join(root, "docs/cookbook");
/** Has the `jq` that the cookbook gives to machines without one. */
export const cookbookPrograms = join(cookbook, "bin");

export interface Recipe {
  title: string;
  /** What to type, block by block. */
  commands: string[];
  files: { name: string; text: string }[];
}

/** Reads the recipes, in the order in which the cookbook's first page lists them. */
export function readCookbook(): Recipe[] {
  const index = readFileSync(join(cookbook, "README.md"), "utf8");
  return [...index.matchAll(/^\| \[.*?\]\(([\w-]+\.md)\)/gm)].map(([, file = ""]) => readRecipe(file));
}

/** The request that the README begins with. */
export function readFirstRequest(): string {
  const text = readFileSync(join(root, "README.md"), "utf8");
  const [, section = ""] = /^## First request$(.*?)^## /ms.exec(text) ?? [];
  const [, block = ""] = /^```sh\n(curl .*?)^```$/ms.exec(section) ?? [];
  return block;
}

function readRecipe(file: string): Recipe {
  const text = readFileSync(join(cookbook, file), "utf8");
  const blocks = [...text.matchAll(/^```(\w*) ?([\w.-]*)\n(.*?)^```$/gms)].map(
    ([, language = "", name = "", code = ""]) => ({ language, name, code }),
  );
  const nameless = blocks.filter(({ name }) => name === "");
  const stray = nameless.find(({ language }) => language !== "sh");
  if (stray) throw new Error(`a block of ${file} is no shell's and says no file name:\n${stray.code}`);
  return {
    title: text.slice("# ".length, text.indexOf("\n")),
    commands: nameless.map(({ code }) => code),
    files: blocks.filter(({ name }) => name !== "").map(({ name, code }) => ({ name, text: code })),
  };
}

/** Saves the files of all recipes, as a reader does. @returns Their names. */
export function saveFiles(recipes: Recipe[], folder: string): string[] {
  const files = recipes.flatMap((recipe) => recipe.files);
  for (const { name, text } of files) writeFileSync(join(folder, name), text);
  return files.map(({ name }) => name);
}
