/**
 * One shell for several blocks of commands, as a reader's terminal: variables and background jobs outlive the block
 * that made them. Stricter than a terminal: a command that fails ends it.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Shell {
  /** Runs a block to its end, and gives what was written meanwhile. */
  run(block: string): Promise<string>;
  /** Starts a block that does not end by itself. */
  start(block: string): void;
  /** Resolves with the match once what was written, by whatever block or background job, holds it. */
  hasWritten(pattern: RegExp): Promise<string>;
  /** Ends the shell and all that it has started. */
  close(): Promise<void>;
}

/** No command prints it: it marks the end of a block. */
const blockEnd = "\u001e";

export function openShell(folder: string, variables: Record<string, string>): Shell {
  const child = spawn("bash", ["-eo", "pipefail"], {
    cwd: folder,
    env: { ...process.env, ...variables },
    // A process group of its own, which can be ended as a whole.
    detached: true,
  });
  const output = collect(child);
  // Its background jobs would keep its pipes open.
  child.once("exit", () => endGroup(child));
  let blocks = 0;
  const start = (block: string) => {
    blocks += 1;
    const name = `block-${child.pid}-${blocks}.sh`;
    writeFileSync(join(folder, name), block);
    // From a file, since a command that reads its input would swallow the rest of the block.
    child.stdin.write(`. ./${name} < /dev/null\nprintf '\\036'\n`);
  };
  return {
    start,
    async run(block) {
      const from = output.soFar().length;
      start(block);
      return output.hasCome((written) => {
        const end = written.indexOf(blockEnd, from);
        return end < 0 ? undefined : written.slice(from, end);
      });
    },
    hasWritten: (pattern) => output.hasCome((written) => pattern.exec(written)?.[0]),
    async close() {
      endGroup(child);
      await output.isOver;
    },
  };
}

/** Everything that a process writes, and the callers that wait for some of it. */
function collect(child: ChildProcessWithoutNullStreams) {
  let written = "";
  let complaints = "";
  let hasEnded = false;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const check of waiting) check();
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written += text;
    wake();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  // What is written to a shell that has ended is lost, which the caller that waits for its output gets as an error.
  child.stdin.on("error", () => {});
  const isOver = new Promise<void>((resolve) => {
    child.once("close", () => {
      hasEnded = true;
      wake();
      resolve();
    });
  });
  /** Rejects when the process ends before `find` finds something. */
  const hasCome = <T>(find: (written: string) => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = find(written);
        if (found === undefined && !hasEnded) return;
        waiting.delete(check);
        if (found !== undefined) resolve(found);
        else reject(new Error(`the shell has ended:\n${written}\n${complaints}`));
      };
      waiting.add(check);
      check();
    });
  return { soFar: () => written, hasCome, isOver };
}

function endGroup({ pid }: ChildProcessWithoutNullStreams): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // No process is left of the group.
  }
}
