/** A gateway of the newest code over a fixture's data, whose clock goes on from when it was made. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { bearer, filesOrigin, startGateway, type TestGateway, upstreamOrigin } from "../../gateway.ts";
import type { Fixture, MadeKey } from "../fixture.ts";
import type { Json } from "../views.ts";

export interface Reopened {
  gateway: TestGateway;
  fixture: Fixture;
  /** The key of this name. */
  key(name: string): MadeKey;
  /** A key of a tenant that may do what is asked, as its own server's. */
  keyOf(tenant: string, may: "submits" | "manages"): string;
  /** A request with a key, from the page that the key is for. */
  ask(key: MadeKey, path: string, init?: RequestInit): Promise<Response>;
  /** The JSON of a reply of status 200. */
  read<T = Json>(key: string, path: string): Promise<T>;
  /** All elements of a list. */
  all(key: string, path: string): Promise<Json[]>;
  adminKey: string;
  /** Lets time pass, with a tick after each step. */
  pass(steps: number, stepMs: number): Promise<void>;
  /** The object's alarm, for those that have been given up in between. */
  runAlarms(): Promise<void>;
}

export function reopen(fixture: Fixture): Reopened {
  const { made } = fixture;
  const gateway: TestGateway = startGateway({
    vars: made.secrets,
    startMs: made.nowMs,
    hosts: {
      ...receivers(fixture),
      ...formerUpstream(fixture, (request) => gateway.simulator.fetch(request)),
    },
  });
  gateway.simulator.control.script({ on: "picture", do: { kind: "serve", width: 16, height: 16 } });
  const adminKey = made.secrets.ADMIN_API_KEY;
  const reopened: Reopened = {
    gateway,
    fixture,
    adminKey,
    key: (name) => found(made.keys.find((key) => key.name === name)),
    keyOf: (tenant, may) =>
      found(made.keys.find((key) => key.tenant === tenant && key.kind === "secret" && key[may])).key,
    ask: ({ key, page }, path, init = {}) =>
      gateway.fetch(path, {
        ...init,
        headers: {
          ...bearer(key),
          ...(page && { origin: page }),
          ...(init.headers as Record<string, string>),
        },
      }),
    async read(key, path) {
      const response = await gateway.fetch(path, { headers: bearer(key) });
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return response.json();
    },
    async all(key, path) {
      const items: Json[] = [];
      for (let cursor: string | null = ""; cursor !== null; ) {
        const page: Json = await reopened.read(
          key,
          `${path}${path.includes("?") ? "&" : "?"}limit=100&cursor=${cursor}`,
        );
        items.push(...page.data);
        cursor = page.next_cursor;
      }
      return items;
    },
    async pass(steps, stepMs) {
      for (let step = 0; step < steps; step++) {
        gateway.advance(stepMs);
        await gateway.tick();
      }
    },
    async runAlarms() {
      for (const { tenant } of fixture.objects) await runDurableObjectAlarm(env.TENANTS.getByName(tenant));
    },
  };
  return reopened;
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the fixture has no such key");
  return value;
}

type Hosts = Record<string, (request: Request) => Response | Promise<Response>>;

function receivers({ made }: Fixture): Hosts {
  return Object.fromEntries(
    Object.entries(made.receivers).map(([origin, status]) => [origin, () => new Response(null, { status })]),
  );
}

/** The upstream still has the tasks that it took from the former version, and is done with all of them. */
function formerUpstream({ shown, bucket }: Fixture, now: (request: Request) => Promise<Response>): Hosts {
  const tasks = new Map(shown.tasks.flatMap((task) => (task.upstream_id ? [[task.upstream_id, task]] : [])));
  const png = "iVBORw0KGgo";
  const picture = Uint8Array.fromBase64(bucket.find(({ bytes }) => bytes.startsWith(png))?.bytes ?? "");
  const idIn = (request: Request) =>
    new URL(request.url).pathname.split("/")[request.url.includes("/files/") ? 2 : 3];
  const isFormer = (request: Request) => tasks.has(idIn(request) ?? "");
  return {
    [upstreamOrigin]: (request) => {
      const id = idIn(request) ?? "";
      const task = tasks.get(id);
      if (!task) return now(request);
      const results = Array.from({ length: task.n }, (_, i) => `${filesOrigin}/files/${id}/${i}.png`);
      return Response.json({ id, status: "completed", progress: 100, results });
    },
    [filesOrigin]: (request) =>
      isFormer(request) ? new Response(picture, { headers: { "content-type": "image/png" } }) : now(request),
  };
}
