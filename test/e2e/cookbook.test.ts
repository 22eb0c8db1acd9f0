/** The cookbook: each block of `docs/cookbook`, taken from there and run against the built Worker, does what it says. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startBrowser } from "../helpers/node/browser.ts";
import { type BuiltGateway, secrets, startBuiltGateway } from "../helpers/node/built-gateway.ts";
import {
  cookbookPrograms,
  readCookbook,
  readFirstRequest,
  saveFiles,
} from "../helpers/node/cookbook-blocks.ts";
import { openShell, type Shell } from "../helpers/node/shell.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

const cookbook = readCookbook();
/** Inside the project, where packages are found; git ignores it. */
const kitchen = fileURLToPath(new URL("../../.wrangler", import.meta.url));

let gateway: BuiltGateway;
let folder: string;
let files: string[];
let shell: Shell | undefined;

beforeAll(async () => {
  mkdirSync(kitchen, { recursive: true });
  folder = mkdtempSync(join(kitchen, "cookbook-"));
  files = saveFiles(cookbook, folder);
  gateway = await startBuiltGateway();
  const { control } = gateway.simulator;
  control.script({ on: "submit", do: { kind: "plan", seconds: 0 } });
  // The receiver, which is started just before, is to be there when it ends.
  const match = { prompt: "by moonlight" };
  control.script({ on: "submit", match, do: { kind: "plan", seconds: 1 } });
});
afterEach(() => shell?.close());
afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

function commandsOf(title: string): string[] {
  const recipe = cookbook.find((one) => one.title === title);
  if (!recipe) throw new Error(`the cookbook has no recipe "${title}"`);
  return recipe.commands;
}

/** A terminal with what the reader's environment has, and a tenant of its own. */
async function open(): Promise<{ shell: Shell; key: string }> {
  const key = await gateway.makeKey();
  const variables = { GATEWAY: gateway.url, KEY: key, ADMIN_KEY: secrets.ADMIN_API_KEY };
  // The cookbook's own `jq`, whether or not this machine has one.
  const path = [cookbookPrograms, process.env.PATH].join(delimiter);
  const opened = openShell(folder, { ...variables, PATH: path, PORT: String(await freePort()) });
  shell = opened;
  return { shell: opened, key };
}

/** Runs a recipe's commands. @returns What each block wrote. */
async function cook(shell: Shell, title: string): Promise<string[]> {
  const outputs: string[] = [];
  for (const block of commandsOf(title)) outputs.push(await whileTicking(gateway, shell.run(block)));
  return outputs;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

async function readList(key: string, path: string): Promise<{ data: { status: string }[] }> {
  const response = await fetch(gateway.url + path, { headers: { authorization: `Bearer ${key}` } });
  return (await response.json()) as { data: { status: string }[] };
}

const saved = (name: string) => readFileSync(join(folder, name));

async function sizeOf(picture: Buffer | ArrayBuffer): Promise<[string, number, number]> {
  const { format, width, height } = await sharp(picture).metadata();
  return [format, width, height];
}

/** The JSON replies that a block wrote: they end without a line break, and a receiver's lines may come in between. */
function repliesIn(output: string): unknown[] {
  return output
    .split(/(?<=\})(?=\{|msg-)|\n/)
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as unknown);
}

describe("the cookbook", () => {
  it("has these recipes, and each is tried here", () => {
    expect(cookbook.map(({ title }) => title)).toEqual([
      "curl",
      "Following a task",
      "The `openai` package",
      "The AI SDK",
      "A React page",
      "Verifying a webhook",
      "A reseller's tenant",
    ]);
    expect(cookbook.every(({ commands }) => commands.length > 0)).toBe(true);
  });

  it("is free of type errors, as strictly as the project itself", async () => {
    const typed = files.filter((name) => /\.tsx?$/.test(name));
    expect(typed).toEqual(["openai.ts", "ai-sdk.ts", "backend.ts", "page.tsx"]);
    const options = { extends: "../../test/node/tsconfig.json", compilerOptions: { jsx: "react-jsx" } };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ ...options, files: typed, include: [] }));
    const { shell } = await open();
    expect(await shell.run("tsc -p . || true")).toBe("");
  });
});

it("the README's first request makes a picture", async () => {
  const { shell } = await open();
  const output = await whileTicking(gateway, shell.run(readFirstRequest()));
  expect(repliesIn(output)).toMatchObject([{ status: "completed", images: [{ content_type: "image/png" }] }]);
});

describe("with curl", () => {
  it("brings a task to its picture, edits that, shows a mistake, and repeats nothing", async () => {
    const [submitted, read, fetched, edited, refused, repeated, ...more] = await cook(
      (await open()).shell,
      "curl",
    );
    expect(more).toEqual([]);
    expect(repliesIn(submitted ?? "")).toMatchObject([{ status: "pending", input: { n: 2 } }]);
    const image = { width: 1024, height: 768 };
    expect(repliesIn(read ?? "")).toMatchObject([{ status: "completed", images: [image, image] }]);
    expect(fetched).toContain("lighthouse.png");
    expect(await sizeOf(saved("lighthouse.png"))).toEqual(["png", 1024, 768]);
    expect(repliesIn(edited ?? "")).toMatchObject([
      { object: "file", content_type: "image/png", ...image },
      { status: "completed", input: { image_urls: [expect.stringContaining("/files/")] } },
    ]);
    expect(repliesIn(refused ?? "")).toMatchObject([{ error: { code: "invalid_request", param: "n" } }]);
    expect(repeated?.match(/^idempotency-replayed: true/gim)).toHaveLength(1);
    const [first, second] = [...(repeated ?? "").matchAll(/^location: (\S+)/gim)].map(([, path]) => path);
    expect(first).toMatch(/^\/v1\/tasks\/task-/);
    expect(second).toBe(first);
  });

  it("waits for a task, streams another to its end, and lists both", async () => {
    const [output = "", ...more] = await cook((await open()).shell, "Following a task");
    expect(more).toEqual([]);
    expect(output).toMatch(/^completed\n/);
    const streamed = [...output.matchAll(/^data: (.*)$/gm)].map(([, task = ""]) => JSON.parse(task));
    expect(streamed.at(-1)).toMatchObject({ status: "completed", progress: 100 });
    expect(repliesIn(output).at(-1)).toMatchObject({
      data: [{ id: streamed.at(-1).id }, { status: "completed" }],
    });
  });

  it("sets up a tenant that pays its own price, tops it up once, and exports the use as CSV", async () => {
    const { shell } = await open();
    const [made, drawn, toppedUp, exported, ...more] = await cook(shell, "A reseller's tenant");
    expect([exported, more]).toEqual(["", []]);
    expect(repliesIn(made ?? "")).toMatchObject([
      { id: "acme", balance: 3000, limits: { images_per_day: 500 } },
      { key: expect.stringMatching(/^wsk_/) },
    ]);
    expect(repliesIn(drawn ?? "")).toMatchObject([{ status: "completed", usage: { credits_charged: 40 } }]);
    const [topUp, usage] = repliesIn(toppedUp ?? "");
    expect(topUp).toMatchObject({ type: "topup", amount: 5000 });
    expect(usage).toMatchObject({ balance: 7960, remaining: { images_per_day: 499 } });
    const [header, ...lines] = saved("usage.csv").toString().replace("\ufeff", "").trim().split(/\r?\n/);
    const column = (name: string) => (header ?? "").split(",").indexOf(name);
    const acme = lines.map((line) => line.split(",")).find((cells) => cells[column("tenant")] === "acme");
    expect([acme?.[column("images")], acme?.[column("credits")]]).toEqual(["1", "40"]);
    expect(saved("ledger.csv").toString()).toContain("invoice-1001");

    const [, , again = ""] = commandsOf("A reseller's tenant");
    expect(repliesIn(await shell.run(again))[1]).toMatchObject({ balance: 7960 });
  });
});

describe("in TypeScript", () => {
  it("draws and edits with the openai package", async () => {
    const [output = "", ...more] = await cook((await open()).shell, "The `openai` package");
    expect(more).toEqual([]);
    expect(await sizeOf(saved("dawn.png"))).toEqual(["png", 1024, 768]);
    expect(output).toContain(`${gateway.url}/images/img-`);
    const edited = await fetch(output.trim());
    expect((await sizeOf(await edited.arrayBuffer()))[0]).toBe("png");
  });

  it("draws with the AI SDK, once for an order however often it runs", async () => {
    const { shell, key } = await open();
    const [block = "", ...more] = commandsOf("The AI SDK");
    expect(more).toEqual([]);
    await whileTicking(gateway, shell.run(block));
    expect(await sizeOf(saved("rain.png"))).toEqual(["png", 1024, 768]);
    await whileTicking(gateway, shell.run(block));
    expect((await readList(key, "/v1/tasks")).data).toHaveLength(1);
  });

  it("shows a picture in a React page that holds no secret", async () => {
    const { shell, key } = await open();
    const [block = "", ...more] = commandsOf("A React page");
    expect(more).toEqual([]);
    shell.start(block);
    const address = await shell.hasWritten(/http:\/\/localhost:\d+/);
    const browser = await startBrowser();
    try {
      const page = await browser.newPage();
      const seen: Promise<string>[] = [];
      page.on("request", (request) => {
        seen.push(Promise.resolve(JSON.stringify([request.url(), request.headers()])));
      });
      page.on("response", (response) => {
        // What the page was given; what it sent elsewhere is among the requests.
        if (response.url().startsWith(address)) seen.push(response.text());
      });
      await page.goto(address);
      await page.getByLabel("Prompt").fill("a lighthouse in a page [sim:seconds=1]");
      await page.getByRole("button").click();
      const picture = page.getByAltText("What you asked for");
      await whileTicking(gateway, picture.waitFor());
      const width = await picture.evaluate(async (image: HTMLImageElement) => {
        await image.decode();
        return image.naturalWidth;
      });
      expect(width).toBeGreaterThan(0);
      const all = (await Promise.all(seen)).join("\n");
      expect(all).toContain("wct_");
      expect(all).not.toContain(key);
    } finally {
      await browser.close();
    }
  });
});

describe("a webhook's receiver", () => {
  it("takes what the gateway signed, again after the secret was replaced, and nothing else", async () => {
    const { shell, key } = await open();
    const [delivered = "", again = "", ...more] = commandsOf("Verifying a webhook");
    expect(more).toEqual([]);
    await whileTicking(gateway, shell.run(delivered));
    const first = await whileTicking(
      gateway,
      shell.hasWritten(/msg-\S+ task\.completed completed \[\s*'http/),
    );
    const [id = ""] = first.split(" ");
    // The receiver knows before the gateway does, and what is still being sent is not sent again.
    await vi.waitUntil(async () => {
      const { data } = await readList(key, "/v1/webhook/deliveries");
      return data[0]?.status === "delivered";
    }, 20_000);
    const [log, rotated, retried] = repliesIn(await shell.run(again));
    expect(log).toMatchObject({ data: [{ id, event: "task.completed" }] });
    expect(rotated).toMatchObject({ secret: expect.stringMatching(/^whsec_/) });
    expect(retried).toMatchObject({ id });
    await whileTicking(gateway, shell.hasWritten(new RegExp(`${id} task[^]*${id} task`)));

    const { url } = JSON.parse(saved("webhook.json").toString()) as { url: string };
    const forged = await fetch(url, { method: "POST", body: '{"type":"task.completed","data":{}}' });
    expect(forged.status).toBe(400);
  });
});
