/**
 * Two kinds of tests: those that run inside workerd beside the sources (real D1, R2 and Durable Objects), and
 * those that run in Node and talk HTTP to the built Worker. Pictures are drawn in Node, since the library that
 * draws them is native; inside workerd they come through the service binding PICTURES.
 */
import { existsSync, statfsSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { readGateway } from "../src/web/build/client.ts";
import { makePicture } from "./simulator/pictures.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

// Wrangler would say for each test file that there is no file with secrets: they are given below.
process.env.WRANGLER_LOG ??= "error";

const onDisk = tmpdir();

/**
 * Where the stores of the tests in workerd lie: in memory if there is room, since on a disk each of their many writes
 * waits for it. Not for the other tests, which also start programs from there.
 */
function whereStoresLie(): string {
  const inMemory = "/dev/shm";
  if (!existsSync(inMemory)) return onDisk;
  const { bavail, bsize } = statfsSync(inMemory);
  return bavail * bsize >= 2 ** 30 ? inMemory : onDisk;
}

process.env.TMPDIR = whereStoresLie();
const cores = availableParallelism();

async function drawPicture(request: Request): Promise<Response> {
  const { format, width, height, seed } = Object.fromEntries(new URL(request.url).searchParams);
  const spec = { format: format as "png", width: Number(width), height: Number(height), seed: Number(seed) };
  return new Response((await makePicture(spec)) as Uint8Array<ArrayBuffer>);
}

/** Made once, for all workers. */
const gateway = readGateway();

export default defineConfig({
  test: {
    projects: [
      {
        root,
        plugins: [
          cloudflareTest(async () => ({
            main: "src/index.ts",
            remoteBindings: false,
            wrangler: { configPath: `${root}wrangler.toml` },
            miniflare: {
              bindings: {
                UPSTREAM_API_KEY: "sk-upstream-test-key-0123456789abcdef",
                ADMIN_API_KEY: "admin-test-key-0123456789abcdef-0123456789",
                KEY_SIGNING_SECRET: "signing-test-secret-0123456789abcdef-0123",
                // Who has deployed has a domain in `wrangler.toml`, and nothing goes there from here.
                PUBLIC_BASE_URL: "",
                PUBLIC_IMAGE_BASE_URL: "",
                ...(process.env.CHAOS_TASKS && { CHAOS_TASKS: process.env.CHAOS_TASKS }),
                ...(process.env.FUZZ_RUNS && { FUZZ_RUNS: process.env.FUZZ_RUNS }),
                ...(process.env.UNSURE_TASKS && { UNSURE_TASKS: process.env.UNSURE_TASKS }),
                ...(process.env.OUTAGE_MINUTES && { OUTAGE_MINUTES: process.env.OUTAGE_MINUTES }),
                ...(process.env.AGED_TASKS && { AGED_TASKS: process.env.AGED_TASKS }),
                ...(process.env.DRAIN_TASKS && { DRAIN_TASKS: process.env.DRAIN_TASKS }),
                ...(process.env.CHAOS_SEED && { CHAOS_SEED: process.env.CHAOS_SEED }),
                OPENAPI_DOCUMENT: JSON.stringify((await gateway).document),
                MIGRATIONS: await readD1Migrations(`${root}src/d1/migrations`),
              },
              serviceBindings: { PICTURES: drawPicture },
            },
          })),
        ],
        test: {
          name: "workerd",
          include: [
            "test/{domain,tenant,d1,flows,upstream,http,routes,helpers,chaos,stored-data}/**/*.test.ts",
            "test/{config,errors}.test.ts",
          ],
          setupFiles: ["test/helpers/setup.ts"],
          testTimeout: 30_000,
          // To start a Worker takes longer than most files do: files share one, and `setup.ts` empties it.
          isolate: false,
          maxWorkers: Math.max(3, cores),
        },
      },
      {
        root,
        test: {
          name: "node",
          include: [
            "test/{e2e,simulator}/**/*.test.ts",
            "test/{architecture,definitions,dependencies,documents,words}.test.ts",
          ],
          globalSetup: ["test/node/build.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Files share a browser and a Worker. They come after those of the other project, since a process that is
          // shared ends where the next file is another project's.
          isolate: false,
          // Most of what takes long here waits: for a page, a receiver, a time limit.
          maxWorkers: Math.max(4, cores),
          sequence: { groupOrder: 1 },
          env: { TMPDIR: onDisk },
        },
      },
    ],
  },
});
