/**
 * Fills `.wrangler/web` with what the gateway serves as static assets: the OpenAPI document, and the pages. A page is a
 * folder of `src/web` with an HTML file and a script named like the folder. What the script imports, style sheets and
 * libraries included, is bundled with it, so that no page loads anything from elsewhere. Wrangler runs this before it
 * builds the Worker (`[build]` in wrangler.toml).
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { generateClient } from "./client.ts";

/** Each page's folder, by the name that its address has: `/`, `/admin`, `/docs`. */
const pages = { index: "playground", admin: "dashboard", docs: "docs" };

const root = fileURLToPath(new URL("../../..", import.meta.url));
const source = join(root, "src", "web");
const web = join(root, ".wrangler", "web");
/** The files are made here first: a server of `web` that runs meanwhile finds every file, and each one whole. */
const staged = join(root, ".wrangler", `web-${process.pid}`);
const assets = join(staged, "assets");

const document = await generateClient();
mkdirSync(assets, { recursive: true });
writeFileSync(join(staged, "openapi.json"), JSON.stringify(document));
for (const [name, page] of Object.entries(pages))
  copyFileSync(join(source, page, `${page}.html`), join(staged, `${name}.html`));
copyFileSync(join(source, "ui", "icon.svg"), join(assets, "icon.svg"));

function scriptOf(page: string): string {
  const script = join(source, page, `${page}.tsx`);
  return existsSync(script) ? script : join(source, page, `${page}.ts`);
}
await build({
  entryPoints: Object.values(pages).map((page) => ({ in: scriptOf(page), out: page })),
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
// A file that an earlier build has left and this one does not make must not be served.
for (const file of filesOf(web)) if (!made.includes(file)) rmSync(join(web, file));
rmSync(staged, { recursive: true });
