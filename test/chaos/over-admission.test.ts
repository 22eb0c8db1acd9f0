/**
 * Many more requests at once than a limit has room for, the object evicted in between: exactly as many are admitted as it has,
 * for each limit that counts submissions, images, tasks and credits.
 */
import { evictDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { evidence } from "../helpers/evidence.ts";
import {
  admitMany,
  admitted,
  configure,
  freshId,
  limitsOf,
  objectOf,
  summaryOf,
} from "../helpers/tenant-object.ts";

const room = 100;
const waves = 4;
const perWave = 100;

const limits: [string, Parameters<typeof configure>[1]][] = [
  ["requests_per_minute", { limits: limitsOf({ requests_per_minute: room }) }],
  ["images_per_minute", { limits: limitsOf({ images_per_minute: room }) }],
  ["concurrent_tasks", { limits: limitsOf({ concurrent_tasks: room }) }],
  ["images_per_day", { limits: limitsOf({ images_per_day: room }) }],
  ["images_per_month", { limits: limitsOf({ images_per_month: room }) }],
  ["balance", { limits: limitsOf({}), prepaid: true, openingBalance: room * 30 + 29 }],
];

it(`admits ${room} of ${waves * perWave}, whatever limits them`, async () => {
  let over = 0;
  for (const [name, config] of limits) {
    const id = freshId();
    await configure(id, config);
    let count = 0;
    for (let wave = 0; wave < waves; wave++) {
      count += admitted(await admitMany(id, perWave));
      await evictDurableObject(objectOf(id));
    }
    expect([name, count]).toEqual([name, room]);
    if (name === "balance") expect((await summaryOf(id)).available).toBe(29);
    over += Math.max(0, count - room);
  }
  evidence({ limits: limits.length, asked: waves * perWave, room, over });
});
