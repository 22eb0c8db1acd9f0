/** What the scenes of a fixture share: the gateway, what was made so far, and how tasks are submitted. */
import { setTimeout as pause } from "node:timers/promises";
import type { Made, MadeKey } from "../fixture.ts";
import type { Json } from "../views.ts";
import { origin, type Stand, secrets } from "./stand.ts";

export interface Story {
  stand: Stand;
  made: Made;
  /** A key by its name. */
  key(name: string): MadeKey;
  /** Submits a task and keeps its id under the scene's name. */
  submit(
    scene: string,
    by: string,
    body?: Record<string, unknown>,
    headers?: Record<string, string>,
  ): Promise<Json>;
  /** The id of a scene's task or file. */
  task(scene: string): string;
  /** Waits until SQL in D1 finds a row. */
  until(sql: string, seconds?: number): Promise<void>;
}

export function beginStory(stand: Stand): Story {
  const made: Made = {
    nowMs: 0,
    secrets,
    origin,
    tenants: { active: [], suspended: [], deleted: [] },
    keys: [],
    deadKeys: [],
    eventLinks: [],
    images: [],
    files: [],
    cursors: [],
    replays: [],
    messages: [],
    receivers: {},
    toBeErased: [],
    withoutRow: [],
    inOutbox: [],
    scenes: {},
  };
  const story: Story = {
    stand,
    made,
    key(name) {
      const key = made.keys.find((one) => one.name === name);
      if (!key) throw new Error(`no key ${name}`);
      return key;
    },
    async submit(scene, by, body = {}, headers = {}) {
      const { key, model, page } = story.key(by);
      const task = await stand.call(key, "POST", "/v1/images/generations", {
        body: { model, prompt: "a boat", ...body },
        headers: { ...(page && { origin: page }), ...headers },
      });
      made.scenes[scene] = task.id;
      return task;
    },
    task(scene) {
      const id = made.scenes[scene];
      if (!id) throw new Error(`no scene ${scene}`);
      return id;
    },
    async until(sql, seconds = 20) {
      for (let waited = 0; waited < seconds * 10; waited++) {
        if ((await stand.sql(sql)).length > 0) return;
        await pause(100);
      }
      throw new Error(`never so: ${sql}`);
    },
  };
  return story;
}

/** Lets real time pass: the built Worker has no other. */
export function seconds(count: number): Promise<void> {
  return pause(count * 1000);
}
