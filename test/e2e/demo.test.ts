import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Run {
  code: number | null;
  output: string;
}

function runDemo(): Promise<Run> {
  const child = spawn(process.execPath, ["test/local-stack/demo.ts"], { cwd: root });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  // `close` comes when no process holds the output any more: a process that was left behind would keep it open.
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

describe("npm run demo", () => {
  it("ends by itself with a picture on disk, a permanent URL, and no process left", async () => {
    const { code, output } = await runDemo();
    expect(output).toMatch(/permanent URL +http:\/\/127\.0\.0\.1:\d+\/images\/img-[0-9a-z]{26}\.png/);
    const file = /saved to +(\S+)/.exec(output)?.[1] ?? "";
    expect(await sharp(await readFile(file)).metadata()).toMatchObject({
      format: "png",
      width: 1024,
      height: 768,
    });
    expect(code).toBe(0);
  }, 120_000);
});
