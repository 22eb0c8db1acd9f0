/**
 * A TCP proxy before the gateway that drops connections when a test says so: what a tunnel, a redeployed edge or a
 * laptop's lid does to a client that reads a stream.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface DroppingProxy {
  url: string;
  /** Drops whatever is connected now. */
  drop(): void;
  /** Drops the connection on which `text` comes back from the gateway, right behind its last byte. */
  dropBehind(text: string): Promise<void>;
  close(): Promise<void>;
}

export async function startProxy(targetUrl: string): Promise<DroppingProxy> {
  const target = new URL(targetUrl);
  const open = new Set<Socket>();
  let trap: { text: string; sprung: () => void } | undefined;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const end = () => {
      open.delete(client);
      client.destroy();
      upstream.destroy();
    };
    open.add(client);
    for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
    client.on("data", (chunk) => upstream.write(chunk));
    // A text may come in chunks, so what came before is kept.
    let came = "";
    upstream.on("data", (chunk: Buffer) => {
      came += chunk.toString("latin1");
      const at = trap ? came.indexOf(trap.text) : -1;
      if (!trap || at < 0) return void client.write(chunk);
      const surplus = came.length - at - trap.text.length;
      const { sprung } = trap;
      trap = undefined;
      client.write(chunk.subarray(0, chunk.length - surplus), () => {
        end();
        sprung();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const drop = () => {
    for (const client of [...open]) client.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    drop,
    dropBehind: (text) =>
      new Promise((resolve) => {
        trap = { text, sprung: resolve };
      }),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      drop();
      await closed;
    },
  };
}
