/** Builds the Worker before tests that speak to the built one. Vitest leaves it out of runs without any of those. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export function setup(): void {
  const { status, stdout, stderr } = spawnSync("npm", ["run", "--silent", "build"], {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (status !== 0) throw new Error(`The Worker does not build:\n${stdout ?? ""}${stderr ?? ""}`);
}
