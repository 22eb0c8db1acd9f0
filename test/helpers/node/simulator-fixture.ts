/** What the simulator's own tests share: one served simulator, and a caller that behaves as a gateway should. */
import { afterAll, beforeAll, beforeEach } from "vitest";
import type { Rule } from "../../simulator/app.ts";
import { type RunningSimulator, startSimulator } from "../../simulator/server.ts";

export const API_KEY = "sk-upstream-test-key-0001";
export const AGENT = "wan-gateway/0.1";

/** What the tests read of a task, or of an error in its place. */
export interface View {
  id?: string;
  created?: number;
  status?: string;
  progress?: number;
  results?: unknown[];
  error?: unknown;
}

export interface Submitted {
  status: number;
  id: string;
  json: View;
  headers: Headers;
}

export interface Fixture {
  url(): string;
  control(): RunningSimulator["simulator"]["control"];
  script(...rules: Rule[]): void;
  post(body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
  /** A good submit with these fields changed. */
  submit(fields?: Record<string, unknown>, idempotencyKey?: string): Promise<Submitted>;
  read(id: string): Promise<{ status: number; json: View }>;
  /** The links of a task that is done. */
  linksOf(id: string): Promise<string[]>;
  /** Submits, lets the time pass, and gives the first link. */
  link(fields?: Record<string, unknown>): Promise<string>;
  picture(link: string, init?: RequestInit): Promise<Response>;
}

export function serveSimulator(): Fixture {
  let running: RunningSimulator;
  beforeAll(async () => {
    running = await startSimulator({ apiKey: API_KEY });
  });
  beforeEach(() => running.simulator.control.reset());
  afterAll(() => running.close());

  const authorization = `Bearer ${API_KEY}`;
  const fixture: Fixture = {
    url: () => running.url,
    control: () => running.simulator.control,
    script: (...rules) => running.simulator.control.script(...rules),
    post(body, headers = {}, signal = AbortSignal.timeout(10_000)) {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return fetch(`${running.url}/v1/images/generations`, {
        method: "POST",
        body: text,
        signal,
        headers: { authorization, "content-type": "application/json", ...headers },
      });
    },
    async submit(fields = {}, idempotencyKey) {
      const body = { model: "wan-2.7-image", prompt: "a hill", n: 1, size: "square", ...fields };
      const headers = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
      const response = await fixture.post(body, headers);
      const json: View = JSON.parse((await response.text()) || "{}");
      return { status: response.status, id: String(json.id), json, headers: response.headers };
    },
    async read(id) {
      const response = await fetch(`${running.url}/v1/tasks/${id}`, { headers: { authorization } });
      return { status: response.status, json: JSON.parse((await response.text()) || "{}") };
    },
    async linksOf(id) {
      const { json } = await fixture.read(id);
      return json.results as string[];
    },
    async link(fields = {}) {
      const { id } = await fixture.submit(fields);
      fixture.control().advance(8000);
      const [link = ""] = await fixture.linksOf(id);
      return link;
    },
    picture(link, init = {}) {
      return fetch(link, { redirect: "manual", headers: { "user-agent": AGENT }, ...init });
    },
  };
  return fixture;
}
