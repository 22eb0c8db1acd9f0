/**
 * Fills `.wrangler/web` with what the gateway serves as static assets: each page of `src/web` as it is, each of its
 * scripts and style sheets bundled with the libraries that it uses, so that no page loads anything from elsewhere. Wrangler runs it
 * before it builds the Worker (`[build]` in wrangler.toml).
 */
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { generateClient } from "./client.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const source = join(root, "src", "web");
const web = join(root, ".wrangler", "web");
/** Made here first: whoever serves `web` at this moment, or begins to, finds every file, and each one whole. */
const staged = join(root, ".wrangler", `web-${process.pid}`);
const assets = join(staged, "assets");

const library = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));

await generateClient();
mkdirSync(assets, { recursive: true });
const files = readdirSync(source);
const ending = (...endings: string[]) => files.filter((name) => endings.some((end) => name.endsWith(end)));

for (const page of ending(".html")) copyFileSync(join(source, page), join(staged, page));
for (const file of ending(".svg")) copyFileSync(join(source, file), join(assets, file));
copyFileSync(join(library, "swagger-ui.css"), join(assets, "swagger-ui.css"));
await build({
  entryPoints: ending(".ts", ".tsx", ".css")
    .filter((name) => !name.endsWith(".d.ts"))
    .map((name) => join(source, name)),
  outdir: assets,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
  // The licences of what is bundled, at the end of each file.
  legalComments: "eof",
  logLevel: "warning",
});

const filesOf = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));

mkdirSync(join(web, "assets"), { recursive: true });
const made = filesOf(staged);
for (const file of made) renameSync(join(staged, file), join(web, file));
// What an earlier build has left and this one does not make must not be served.
for (const file of filesOf(web)) if (!made.includes(file)) rmSync(join(web, file));
rmSync(staged, { recursive: true });
