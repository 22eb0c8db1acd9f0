/**
 * A receiver of webhooks, played by a plain HTTP server: it keeps what came to each path, and answers as a test
 * says. Tests wait for what comes, never for time to pass.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A status, with the path that it redirects to; no reply at all; or a 200 with ten megabytes and no end. */
export type Answer = { status: number; location?: string } | "hang" | "endless";

export interface Received {
  method: string;
  path: string;
  headers: Record<string, string>;
  /** As it came, byte by byte. */
  body: string;
  atMs: number;
}

export interface Receiver {
  url: string;
  /** Answers the requests to a path so, in turn, and with the last one from then on. Without it: 204. */
  answer(path: string, ...answers: Answer[]): void;
  /** All that has come. */
  all(): Received[];
  /** What has come to a path. */
  received(path: string): Received[];
  /** Resolves once so many requests have come to a path, and are being answered. */
  hasReceived(path: string, count: number): Promise<Received[]>;
  close(): Promise<void>;
}

const endlessBytes = 10 * 1024 * 1024;

export async function startReceiver(): Promise<Receiver> {
  const answers = new Map<string, Answer[]>();
  const all: Received[] = [];
  const waiting = new Set<() => void>();
  const received = (path: string) => all.filter((one) => one.path === path);

  const server = createServer(async (request, response) => {
    const { method = "", url: path = "" } = request;
    const body = (await request.toArray()).join("");
    const headers = Object.fromEntries(new Headers(request.headers as Record<string, string>));
    all.push({ method, path, headers, body, atMs: Date.now() });
    const script = answers.get(path) ?? [];
    reply(response, (script.length > 1 ? script.shift() : script[0]) ?? { status: 204 });
    for (const check of waiting) check();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (path, ...given) => void answers.set(path, given),
    all: () => all,
    received,
    hasReceived: (path, count) =>
      new Promise((resolve) => {
        const check = () => {
          if (received(path).length < count) return;
          waiting.delete(check);
          resolve(received(path));
        };
        waiting.add(check);
        check();
      }),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function reply(response: ServerResponse, answer: Answer): void {
  if (answer === "hang") return;
  if (answer === "endless") {
    response.writeHead(200, { "content-type": "text/plain" }).write("x".repeat(endlessBytes));
    return;
  }
  const { status, location } = answer;
  response.writeHead(status, location === undefined ? {} : { location }).end();
}
