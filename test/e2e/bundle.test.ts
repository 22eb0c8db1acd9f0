import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

it("keeps the Worker within 150 KB, compressed", async () => {
  const built = fileURLToPath(new URL("../../.wrangler/build/index.js", import.meta.url));
  expect(gzipSync(await readFile(built)).byteLength).toBeLessThanOrEqual(150_000);
});
