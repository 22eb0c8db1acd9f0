/** The code on the screen is run as a reader would run it, and asks for exactly what is on the form. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PaidTenant, payingTenant } from "../helpers/node/built-tenant.ts";
import { openPlayground, type Playground, promptField } from "../helpers/node/playground-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

const run = promisify(execFile);

serveInBrowser();
let tenant: PaidTenant;
let playground: Playground;
let folder: string;
beforeAll(async () => {
  tenant = await payingTenant(gateway);
  folder = mkdtempSync(join(tmpdir(), "playground-code-"));
  playground = await openPlayground(browser, gateway);
  const { page } = playground;
  await playground.enterKey(tenant.key);
  await promptField(page).fill(prompt);
  await page.getByLabel("Address of a reference").fill("https://shop.example/it's.png?a=1&b=$2");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("radio", { name: /Custom/ }).check();
  await page.getByText("More options").click();
  await page.getByLabel("Negative prompt").fill("rain, 'fog' and \"hail\"");
  await page.getByLabel("Safety checker").selectOption("On");
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
});

const prompt = `It's a "lighthouse" for $HOME, \`id\`, $(id) and \${1} \\n !! "n": 5
second line, 灯塔 🗼 [sim:seconds=0]`;
const asked = {
  model: "wan-2.7-image",
  input: {
    prompt,
    image_urls: ["https://shop.example/it's.png?a=1&b=$2"],
    size: { width: 1_024, height: 768 },
    negative_prompt: "rain, 'fog' and \"hail\"",
    enable_safety_checker: true,
    n: 1,
  },
};

async function codeIn(language: string): Promise<string> {
  await playground.page.getByRole("tab", { name: language }).click();
  const code = await playground.page.getByRole("tabpanel", { name: language }).textContent();
  expect(code).not.toContain("wct_");
  expect(code).not.toContain(tenant.key);
  return code ?? "";
}

describe("the code on the screen", () => {
  it("runs in a shell", async () => {
    const env = { ...process.env, KEY: tenant.key };
    const { stdout } = await run("bash", ["-euc", await codeIn("curl")], { env });
    const { id } = JSON.parse(stdout) as { id: string };
    expect((await tenant.tasks())[0]).toMatchObject({ id, ...asked });
  });

  it("runs in Node, to the picture", async () => {
    const file = join(folder, "picture.mts");
    writeFileSync(file, await codeIn("TypeScript"));
    const env = { ...process.env, KEY: tenant.key };
    const { stdout } = await whileTicking(gateway, run(process.execPath, [file], { env, timeout: 30_000 }));
    const [task] = await tenant.tasks();
    expect(task).toMatchObject({ status: "completed", ...asked });
    expect(stdout).toContain(task?.results[0]);
    playground.expectQuiet();
  });
});
