/** `npm run demo`: one picture, from a tenant's key to a permanent URL, in front of your eyes. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Presets, SingleBar } from "cli-progress";
import { root, type Stack, startStack } from "./stack.ts";

const folder = `demo-${process.pid}`;
const timeLimitMs = 180_000;
const prompt = "a lighthouse at dusk, seen from the sea";

interface ShownTask {
  id: string;
  status: string;
  progress: number;
  images: { url: string; width: number; height: number; bytes: number; content_type: string }[];
  error: { code: string; message: string } | null;
}

async function main(): Promise<void> {
  const limit = setTimeout(() => fail(new Error(`not done after ${timeLimitMs / 1000} s`)), timeLimitMs);
  starting = startStack({
    port: 0,
    folder,
    temporary: true,
    verbose: false,
    onStep: (step) => console.log(`· ${step}`),
  });
  stack = await starting;
  console.log(`· submitting "${prompt}" with the key of tenant ${stack.tenantId}`);
  const submitted = await call<ShownTask>("POST", "/v1/images/generations", {
    model: "wan-2.7-image",
    prompt,
    size: "landscape_4_3",
  });
  console.log(`· ${submitted.id} is accepted; cron polls it until the upstream is done`);
  const task = await waitForEnd(submitted);
  if (task.error) throw new Error(`the task failed: ${task.error.code}: ${task.error.message}`);

  for (const image of task.images) {
    const response = await fetch(image.url);
    if (!response.ok) throw new Error(`${image.url} answered ${response.status}`);
    const file = save(task.id, image.content_type, new Uint8Array(await response.arrayBuffer()));
    console.log(`
  permanent URL  ${image.url}
  picture        ${image.width} × ${image.height}, ${image.bytes} bytes, ${image.content_type}
  saved to       ${file}

The URL is the local gateway's, which ends now; "npm run dev" keeps one running.
`);
  }
  clearTimeout(limit);
}

let starting: Promise<Stack> | undefined;
let stack: Stack | undefined;
let ending: Promise<never> | undefined;

/** Reads the task until it has ended, and draws how far it is. */
async function waitForEnd(task: ShownTask): Promise<ShownTask> {
  const bar = new SingleBar(
    { format: "  {bar} {percentage} % {status}", hideCursor: true, noTTYOutput: true, notTTYSchedule: 1_000 },
    Presets.shades_classic,
  );
  bar.start(100, 0, { status: task.status });
  let current = task;
  while (current.status === "pending" || current.status === "processing") {
    await new Promise((resolve) => setTimeout(resolve, 500));
    current = await call<ShownTask>("GET", `/v1/tasks/${task.id}`);
    bar.update(current.progress, { status: current.status });
  }
  bar.stop();
  return current;
}

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${stack?.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${stack?.key}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

function save(taskId: string, contentType: string, bytes: Uint8Array): string {
  const pictures = join(root, ".wrangler", "demo");
  mkdirSync(pictures, { recursive: true });
  const file = join(pictures, `${taskId}.${contentType.split("/")[1]}`);
  writeFileSync(file, bytes);
  return file;
}

/** Ends everything, once, whatever asks for it and however often. */
function end(code: number): Promise<never> {
  ending ??= (async () => {
    // What has only begun to start is ended when it is there.
    await starting?.then(
      (started) => started.close(),
      () => undefined,
    );
    process.exit(code);
  })();
  return ending;
}

function fail(error: unknown): Promise<never> {
  console.error(error instanceof Error ? error.message : error);
  return end(1);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(130));
main().then(() => end(0), fail);
