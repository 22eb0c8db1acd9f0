/**
 * What the OpenAPI document is for: it is valid by the specification's own schema, and a client that a generator makes
 * of it type-checks and makes a picture, over HTTP, without a line about the gateway that is not in the document.
 */
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import SwaggerParser from "@apidevtools/swagger-parser";
import { generateSource } from "oazapfts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BuiltGateway, startBuiltGateway } from "../helpers/node/built-gateway.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, ".wrangler", "client");
/** By a variable: the compiler would resolve a literal. */
const program = fileURLToPath(new URL("client/make-picture.ts", import.meta.url));
const run = promisify(execFile);

let gateway: BuiltGateway;
beforeAll(async () => {
  gateway = await startBuiltGateway();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
});
afterAll(() => gateway.close());

const documentUrl = () => `${gateway.url}/openapi.json`;

describe("/openapi.json", () => {
  it("is valid, by the schema of OpenAPI 3.1 itself", async () => {
    const document = (await (await fetch(documentUrl())).json()) as Parameters<
      typeof SwaggerParser.validate
    >[0];
    const valid = await SwaggerParser.validate(structuredClone(document));
    expect(Object.keys(valid.paths ?? {}).length).toBeGreaterThan(20);
  });

  it("gives a client that type-checks and makes a picture", async () => {
    writeFileSync(join(folder, "gateway.ts"), await generateSource(documentUrl()));
    const checked = await run(process.execPath, [
      join(root, "node_modules", "typescript", "bin", "tsc"),
      "-p",
      join(root, "test", "e2e", "client"),
    ]).catch((error: { stdout: string }) => error);
    expect(checked.stdout).toBe("");

    const { askForTooMany, makePicture } = (await import(program)) as Client;
    const access = { baseUrl: gateway.url, key: await gateway.makeKey() };
    const made = await makePicture(access, () => gateway.tick());
    const side = { width: 1_024, height: 768, content_type: "image/png" };
    expect(made).toMatchObject({ status: "completed", sides: [side, side], field: null });
    for (const url of made.urls) expect((await fetch(url)).status).toBe(200);
    expect(await askForTooMany(access)).toMatchObject({ code: "invalid_request", param: "n" });
  });
});

/** The program's own types need the generated ones, which are not there yet when this file is checked. */
interface Client {
  makePicture(
    access: { baseUrl: string; key: string },
    meanwhile: () => Promise<void>,
  ): Promise<{ status: string; sides: object[]; urls: string[]; field: string | null }>;
  askForTooMany(access: { baseUrl: string; key: string }): Promise<object | null>;
}
