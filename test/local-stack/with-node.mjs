/**
 * Runs a command on the Node that `npm ci` installed. Plain JavaScript for whatever Node is there: older npm
 * versions drop the link `node_modules/.bin/node` when several optional packages offer it for several platforms.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));
const names = readdirSync(modules).filter((name) => /^node-(bin-)?(linux|darwin|win)/.test(name));
const binaries = names.flatMap((name) =>
  ["bin/node", "bin/node.exe"].map((file) => join(modules, name, file)),
);
const found = binaries.find((file) => existsSync(file));
if (!found && Number(process.versions.node.split(".")[0]) < 22) {
  console.error("This needs Node 22.12 or newer, and npm installed none for this platform: install one.");
  process.exit(1);
}

const path = [...(found ? [dirname(found)] : []), join(modules, ".bin"), process.env.PATH].join(delimiter);
const [command = "node", ...args] = process.argv.slice(2);
const child = spawn(command, args, {
  stdio: "inherit",
  env: { ...process.env, PATH: path },
  shell: process.platform === "win32",
});
// The terminal sends Ctrl-C to all of the group; a signal to this process alone is passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT") child.kill(signal);
  });
}
child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
