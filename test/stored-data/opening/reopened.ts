/** A gateway of the newest code over a fixture's data, whose clock goes on from when it was made. */
import {
  bearer,
  filesOrigin,
  startGateway,
  type TestGateway,
  upstreamOrigin,
} from "../../helpers/gateway.ts";
import type { Fixture, MadeKey } from "../fixture.ts";
import type { Json } from "../views.ts";
import { createAlarms } from "./alarms.ts";

export interface Reopened {
  gateway: TestGateway;
  fixture: Fixture;
  /** The key of this name. */
  key(name: string): MadeKey;
  /** A key of a tenant that may do what is asked, as its own server's. */
  keyOf(tenant: string, may: "submits" | "manages"): string;
  /** A request with a key, from the page that the key is for. */
  ask(key: MadeKey, path: string, init?: RequestInit): Promise<Response>;
  /** Asks for a generation. */
  submit(key: MadeKey, body: object): Promise<Response>;
  /** The JSON of a reply of status 200. */
  read<T = Json>(key: string, path: string): Promise<T>;
  /** All elements of a list. */
  all(key: string, path: string): Promise<Json[]>;
  adminKey: string;
  /** From now on the links of former tasks work. */
  filesRecover(): void;
  /** Lets time pass, with the alarms that are due and a tick after each step. */
  pass(steps: number, stepMs: number): Promise<void>;
}

export function reopen(fixture: Fixture): Reopened {
  const { made } = fixture;
  const former = formerUpstream(fixture, (request) => gateway.simulator.fetch(request));
  const gateway: TestGateway = startGateway({
    vars: made.secrets,
    startMs: made.nowMs,
    hosts: { ...receivers(fixture), ...former.hosts },
  });
  gateway.simulator.control.script({ on: "picture", do: { kind: "serve", width: 16, height: 16 } });
  // Set by the latest admissions, two minutes before they are due.
  const alarms = createAlarms(
    fixture.objects.map(({ tenant }) => tenant),
    made.nowMs + 120_000,
  );
  const adminKey = made.secrets.ADMIN_API_KEY;
  const reopened: Reopened = {
    gateway,
    fixture,
    adminKey,
    key: (name) => existing(made.keys.find((key) => key.name === name)),
    keyOf: (tenant, may) =>
      existing(made.keys.find((key) => key.tenant === tenant && key.kind === "secret" && key[may])).key,
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
    filesRecover: former.filesRecover,
    async pass(steps, stepMs) {
      for (let step = 0; step < steps; step++) {
        gateway.advance(stepMs);
        await alarms.ring(gateway.now());
        await gateway.tick();
      }
    },
    async submit(key, body) {
      await alarms.take(key.tenant);
      const headers = { "content-type": "application/json" };
      return reopened.ask(key, "/v1/images/generations", {
        method: "POST",
        body: JSON.stringify(body),
        headers,
      });
    },
  };
  return reopened;
}

function existing(key: MadeKey | undefined): MadeKey {
  if (!key) throw new Error("the fixture has no such key");
  return key;
}

type Hosts = Record<string, (request: Request) => Response | Promise<Response>>;

function receivers({ made }: Fixture): Hosts {
  return Object.fromEntries(
    Object.entries(made.receivers).map(([origin, status]) => [origin, () => new Response(null, { status })]),
  );
}

/**
 * The upstream still has the tasks that it took from the former version, and is done with all of them. At first its file
 * host fails.
 */
function formerUpstream({ shown, bucket }: Fixture, now: (request: Request) => Promise<Response>) {
  const tasks = new Map(shown.tasks.map((task) => [task.upstream_id, task]));
  const png = "iVBORw0KGgo";
  const picture = Uint8Array.fromBase64(bucket.find(({ bytes }) => bytes.startsWith(png))?.bytes ?? "");
  let filesFail = true;
  const hosts: Hosts = {
    [upstreamOrigin]: (request) => {
      const id = new URL(request.url).pathname.replace("/v1/tasks/", "");
      const task = tasks.get(id);
      if (!task) return now(request);
      const results = Array.from(
        { length: Number(task.input.n) },
        (_, i) => `${filesOrigin}/files/${id}/${i}.png`,
      );
      return Response.json({ id, status: "completed", progress: 100, results });
    },
    [filesOrigin]: (request) => {
      const [, , id = ""] = new URL(request.url).pathname.split("/");
      if (!tasks.has(id)) return now(request);
      if (filesFail) return new Response(null, { status: 500 });
      return new Response(picture, { headers: { "content-type": "image/png" } });
    },
  };
  const filesRecover = () => {
    filesFail = false;
  };
  return { hosts, filesRecover };
}
