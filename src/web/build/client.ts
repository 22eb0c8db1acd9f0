/**
 * Makes the pages' client of the API out of the API's own document: `.wrangler/web-client/gateway.ts`, which `src/web`
 * imports as `#gateway`. A page that calls an operation that does not exist does not compile. Beside it goes
 * `definitions.ts`, which `src/web` imports as `#definitions`. `npm run check` runs this as a program before it checks the
 * types; the build of the pages calls it.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { generateSource } from "oazapfts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = join(root, ".wrangler", "web-client");

/** @returns the document. */
export async function generateClient(): Promise<object> {
  mkdirSync(folder, { recursive: true });
  // The files have names of this process until they are whole: another build or a reader may run at the same time.
  const document = join(folder, `openapi-${process.pid}.json`);
  const made = await readGateway();
  writeFileSync(document, JSON.stringify(made.document));
  replace("gateway.ts", await generateSource(document));
  replace("definitions.ts", made.definitionsSource);
  rmSync(document);
  return made.document;
}

function replace(name: string, text: string): void {
  const source = join(folder, `${process.pid}-${name}`);
  writeFileSync(source, text);
  renameSync(source, join(folder, name));
}

interface Made {
  document: object;
  definitionsSource: string;
}

/** The document of the routes, which names no server, and the definitions. */
export async function readGateway(): Promise<Made> {
  mkdirSync(folder, { recursive: true });
  // The routes are bundled first: Node resolves the packages' modules by other rules than the Worker's build.
  const bundle = join(folder, `document-${randomUUID()}.mjs`);
  await build({
    stdin: {
      contents: `
        import { createApp } from "./src/app.ts";
        import { readConfig } from "./src/config.ts";
        import { makeDocument } from "./src/routes/meta/openapi-document.ts";
        const secret = "only to make the document of it ".repeat(2);
        const { config } = readConfig({ UPSTREAM_API_KEY: secret, ADMIN_API_KEY: secret, KEY_SIGNING_SECRET: secret });
        export const document = { ...makeDocument(createApp(config)), servers: [{ url: "/" }] };
        export { definitionsSource } from "./src/web/build/definitions.ts";`,
      resolveDir: root,
    },
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "warning",
  });
  const made = (await import(pathToFileURL(bundle).href)) as Made;
  rmSync(bundle);
  return made;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generateClient();
