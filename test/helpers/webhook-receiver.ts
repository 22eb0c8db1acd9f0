/** A receiver of webhooks: records what it receives, and answers as a test says. */
import { type GatewayOptions, startGateway, type TestGateway } from "./gateway.ts";

export const hookOrigin = "https://hooks.example";
export const hook = `${hookOrigin}/webhook`;

export interface Received {
  id: string;
  atMs: number;
  url: string;
  body: { type?: string; data?: { id?: string; status?: string }; id?: string };
}

export type Answer = (received: Received) => number | Promise<number>;

/** A gateway, and who listens at {@link hookOrigin}; more of them by `others`. */
export function startWithReceiver(options: GatewayOptions = {}, others: string[] = []) {
  const received: Received[] = [];
  let answer: Answer = () => 200;
  let gateway: TestGateway;
  const listen = async (request: Request) => {
    const body = (await request.json()) as Received["body"];
    const id = request.headers.get("webhook-id") ?? "";
    const one = { id, atMs: gateway.now(), url: request.url, body };
    received.push(one);
    return new Response("noted", { status: await answer(one) });
  };
  const hosts = Object.fromEntries([hookOrigin, ...others].map((origin) => [origin, listen]));
  gateway = startGateway({ ...options, hosts: { ...hosts, ...options.hosts } });
  return {
    gateway,
    hosts,
    received,
    answers(next: Answer) {
      answer = next;
    },
    /** What was received about one task, or about none. */
    of: (task: string | undefined) => received.filter(({ body }) => (body.data?.id ?? body.id) === task),
  };
}
