/**
 * The README's Cookbook as its readers have it: each code block is taken from there, so that what is tested is what is
 * printed. A fence whose info string names a file (```` ```ts openai.ts ````) is a file to save, one without is for the shell.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const readme = fileURLToPath(new URL("../../../README.md", import.meta.url));

export interface Recipe {
  title: string;
  /** What to type, block by block. */
  commands: string[];
  files: { name: string; text: string }[];
}

export function readCookbook(): Recipe[] {
  const [, cookbook = ""] = /^## Cookbook$(.*?)^## /ms.exec(readFileSync(readme, "utf8")) ?? [];
  return cookbook
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const blocks = [...section.matchAll(/^```(\w+) ?([\w.-]*)\n(.*?)^```$/gms)];
      const named = blocks.map(([, language = "", name = "", text = ""]) => ({ language, name, text }));
      const nameless = named.filter(({ name }) => name === "");
      const stray = nameless.find(({ language }) => language !== "sh");
      if (stray) throw new Error(`a block of ${stray.language} says no file name:\n${stray.text}`);
      return {
        title: section.slice(0, section.indexOf("\n")),
        commands: nameless.map(({ text }) => text),
        files: named.filter(({ name }) => name !== ""),
      };
    });
}

/** Saves the files of all recipes, as a reader does. @returns Their names. */
export function saveFiles(recipes: Recipe[], folder: string): string[] {
  const files = recipes.flatMap((recipe) => recipe.files);
  for (const { name, text } of files) writeFileSync(join(folder, name), text);
  return files.map(({ name }) => name);
}
