/** The simulator on a real port of this machine. Run it by itself: `node test/simulator/server.ts --port 8788`. */
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { ConnectionReset, createSimulator, type Simulator } from "./app.ts";
import { makePicture } from "./pictures.ts";

export interface ServerOptions {
  /** 0 or none: any free one. */
  port?: number;
  apiKey: string;
  secondsPerImage?: number;
}

export interface RunningSimulator {
  url: string;
  simulator: Simulator;
  close(): Promise<void>;
}

export async function startSimulator({ port = 0, ...options }: ServerOptions): Promise<RunningSimulator> {
  const simulator = createSimulator({ ...options, picture: makePicture });
  const server = createAdaptorServer({
    overrideGlobalObjects: false,
    async fetch(request, env) {
      const { outgoing } = env as HttpBindings;
      try {
        await send(await simulator.fetch(request), outgoing);
      } catch (error) {
        // A scripted reset, or the caller has left: no reply either way. Anything else is the simulator's own fault.
        if (!(error instanceof ConnectionReset || request.signal.aborted)) console.error(error);
        outgoing.socket?.resetAndDestroy();
      }
      return RESPONSE_ALREADY_SENT;
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    simulator,
    async close() {
      await new Promise((resolve) => {
        server.close(resolve);
        if ("closeAllConnections" in server) server.closeAllConnections();
      });
    },
  };
}

/**
 * Writes a reply as it is. The adaptor would join chunks, add a length and answer 500 when a body breaks, which hides
 * just the faults that this server is for.
 */
async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.flushHeaders();
  const reader = response.body?.getReader();
  outgoing.once("close", () => reader?.cancel().catch(() => undefined));
  try {
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      if (!outgoing.write(part.value)) await drained(outgoing);
    }
  } catch {
    // What was written must still arrive: the body breaks off, it is not taken back.
    outgoing.socket?.destroySoon();
    return;
  }
  outgoing.end();
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      outgoing.off("drain", go).off("close", go);
      resolve();
    };
    outgoing.on("drain", go).on("close", go);
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8788" },
      "api-key": { type: "string", default: "simulator-key" },
      seconds: { type: "string", default: "8" },
    },
  });
  const { url, close } = await startSimulator({
    port: Number(values.port),
    apiKey: values["api-key"],
    secondsPerImage: Number(values.seconds),
  });
  console.log(`Simulated upstream on ${url}, key ${values["api-key"]}, script names: ${url}/_control/names`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void close());
}

if (import.meta.main) await main();
