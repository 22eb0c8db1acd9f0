/** What is measured against what. Targets are ratios of the two, in the same run. */

import type { Load, Measured } from "./load.ts";
import { imagesFor, type Prepared } from "./prepare.ts";

/** Of a ratio. */
export type Target = { atLeast: number } | { atMost: number };
export type Measure = keyof Measured;

export interface Reference {
  name: string;
  load: (round: number) => Load;
  targets?: Partial<Record<Measure, Target>>;
}

export interface Comparison {
  name: string;
  measures: Measure[];
  /** By round: what is cold is cold once. */
  gateway: (round: number) => Load;
  references: Reference[];
  /** Milliseconds that the upstream takes for a reply. */
  upstreamMs?: number;
}

const saturated = 64;
/** So few that nothing waits for the processor: what is measured is the way, not the machine. */
const unhurried = 16;

const body = JSON.stringify({ model: "wan-2.7-image", prompt: "a lighthouse at dusk, seen from the sea" });
const json = { "content-type": "application/json" };

export function cases(prepared: Prepared): Comparison[] {
  return [
    ...submissions(prepared),
    ...reads(prepared),
    ...pictures(prepared),
    ...refusals(prepared),
    admissions(prepared),
  ];
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

function post(url: string, connections = saturated, headers: Record<string, string> = {}): Load {
  return { url, method: "POST", headers: { ...json, ...headers }, body, connections, status: 200 };
}

function get(url: string, headers: Record<string, string> = {}, connections = saturated): Load {
  return { url, headers, connections, status: 200 };
}

function submissions({ gatewayUrl, bareUrl, key, tenant }: Prepared): Comparison[] {
  const path = "/v1/images/generations";
  const submit = (connections: number) => () => post(gatewayUrl + path, connections, bearer(key));
  const passThrough = (connections: number) => () => post(bareUrl + path, connections);
  return [
    {
      name: "submit, 64 at a time",
      measures: ["perSecond"],
      gateway: submit(saturated),
      references: [
        {
          name: "a bare D1 insert",
          load: () => post(`${bareUrl}/rows`),
          targets: { perSecond: { atLeast: 0.5 } },
        },
        { name: "pass-through", load: passThrough(saturated), targets: { perSecond: { atLeast: 0.4 } } },
        { name: "one that calls an object twice", load: () => post(`${bareUrl}/called/${tenant}`) },
      ],
    },
    {
      name: `submit, ${unhurried} at a time, upstream 250 ms`,
      measures: ["p50Ms", "p99Ms"],
      upstreamMs: 250,
      gateway: submit(unhurried),
      references: [
        {
          name: "pass-through",
          load: passThrough(unhurried),
          targets: { p50Ms: { atMost: 1.04 }, p99Ms: { atMost: 1.1 } },
        },
      ],
    },
  ];
}

function reads({ gatewayUrl, bareUrl, key, row, runningTask, finishedTask }: Prepared): Comparison[] {
  const bareRead = { name: "a bare D1 read", load: () => get(`${bareUrl}/rows/${row}`) };
  return [
    ["running", runningTask],
    ["finished", finishedTask],
  ].map(([state, id]) => ({
    name: `read a ${state} task`,
    measures: ["perSecond"],
    gateway: () => get(`${gatewayUrl}/v1/tasks/${id}`, bearer(key)),
    references: [bareRead],
  }));
}

function pictures({ gatewayUrl, bareUrl, images }: Prepared): Comparison[] {
  const some = 8;
  const each = (paths: string[]) => ({ requests: paths.map((path) => ({ path })), amount: paths.length });
  const targets = { perSecond: { atLeast: 0.8 } };
  const [one = ""] = images;
  return [
    {
      name: "serve 1 MB, cold",
      measures: ["perSecond"],
      gateway: (round) => ({
        ...get(gatewayUrl, {}, some),
        ...each(imagesFor(images, round).map((id) => `/images/${id}.png`)),
      }),
      references: [
        {
          name: "a bare R2 read",
          load: (round) => ({
            ...get(bareUrl, {}, some),
            ...each(imagesFor(images, round).map((id) => `/objects/${id}`)),
          }),
          targets,
        },
      ],
    },
    {
      name: "serve 1 MB, cached",
      measures: ["perSecond"],
      gateway: () => get(`${gatewayUrl}/images/${one}.png`, {}, some),
      references: [
        { name: "a bare R2 read", load: () => get(`${bareUrl}/objects/${one}`, {}, some), targets },
      ],
    },
  ];
}

function refusals({ gatewayUrl, bareUrl, forgedKey, limitedKey }: Prepared): Comparison[] {
  const empty = { name: "an empty route", load: () => get(`${bareUrl}/empty`) };
  const logged = { name: "one that logs a line", load: () => get(`${bareUrl}/logged`) };
  return [
    {
      name: "refuse a forged key",
      measures: ["perSecond"],
      gateway: () => ({ ...get(`${gatewayUrl}/v1/tasks/none`, bearer(forgedKey)), status: 401 }),
      references: [{ ...empty, targets: { perSecond: { atLeast: 0.55 } } }, logged],
    },
    {
      name: "refuse by limit",
      measures: ["perSecond"],
      gateway: () => ({
        ...post(`${gatewayUrl}/v1/images/generations`, saturated, bearer(limitedKey)),
        status: 429,
      }),
      references: [empty],
    },
  ];
}

/** The tenant's object alone, asked by a bare Worker. */
function admissions({ bareUrl, admissions: all }: Prepared): Comparison {
  const admit = (requests: Prepared["admissions"]) => () => ({ ...post(bareUrl), requests });
  return {
    name: "admit for one tenant",
    measures: ["perSecond"],
    gateway: admit(all.slice(0, 1)),
    references: [{ name: `spread over ${all.length}`, load: admit(all) }],
  };
}
