/** `npm run dev` takes the gateway's variables from the environment. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

it("gives a variable of the environment to the gateway", async () => {
  const port = await freePort();
  const variables = {
    PORT: String(port),
    PRICES: '{"wan-2.7-image":41}',
    PUBLIC_BASE_URL: "http://pictures.local",
  };
  const child = spawn(process.execPath, ["test/local-stack/dev.ts"], {
    cwd: root,
    env: { ...process.env, ...variables },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let key = "";
    for await (const line of createInterface({ input: child.stdout })) {
      key = /^ +export KEY=(\S+)$/.exec(line)?.[1] ?? key;
      if (line.startsWith("Ctrl-C")) break;
    }
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const url = `http://127.0.0.1:${port}/v1`;
    const models = (await (await fetch(`${url}/models`, { headers })).json()) as { data: object[] };
    expect(models.data).toContainEqual(expect.objectContaining({ id: "wan-2.7-image", price: 41 }));
    const body = JSON.stringify({ model: "wan-2.7-image", prompt: "a lighthouse at dusk" });
    const submitted = await fetch(`${url}/images/generations`, { method: "POST", headers, body });
    const { links } = (await submitted.json()) as { links: { self: string } };
    expect(links.self).toMatch(/^http:\/\/pictures\.local\/v1\/tasks\/task-/);
  } finally {
    child.stdout.resume();
    child.kill("SIGTERM");
    await once(child, "exit");
    rmSync(join(root, ".wrangler", `dev-${port}`), { recursive: true, force: true });
  }
}, 120_000);
