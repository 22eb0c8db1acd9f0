/** What a settled task leaves in its tenant's object, and writes there, does not depend on how many are in flight. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { newId } from "../../src/platform/invocation.ts";
import { chanceOf } from "../helpers/chance.ts";
import { admitOne, configure, freshId, limitsOf, objectOf, settle, t0 } from "../helpers/tenant-object.ts";

const sizeOf = (id: string) =>
  runInDurableObject(objectOf(id), (_object, { storage }) => storage.sql.databaseSize);

it.each([30, 3_000])(
  "is at most 0.6 KB with %i in flight, which end in any order",
  async (inFlight) => {
    const id = freshId();
    await configure(id, { limits: limitsOf({}), prepaid: true, openingBalance: 1_000_000 });
    const chance = chanceOf(inFlight);
    const open: number[] = [];
    const start = async (i: number) => {
      const replay = { by: "body" as const, fingerprint: i.toString(16).padStart(64, "5"), retries: 0 };
      const { holdNumber } = await admitOne(id, { images: 1, taskId: newId("task", t0), replay });
      open.push(holdNumber);
    };
    const replaceOne = async (i: number) => {
      await start(i);
      const [hold = 0] = open.splice(chance.between(0, open.length - 1), 1);
      await settle(id, hold, { images: 1 });
    };
    for (let i = 0; i < inFlight; i++) await start(i);
    // Until the pages of open tasks are as full as they stay.
    for (let i = 0; i < inFlight; i++) await replaceOne(i);
    const before = await sizeOf(id);
    const settled = 900;
    for (let i = 0; i < settled; i++) await replaceOne(i);
    expect(((await sizeOf(id)) - before) / settled).toBeLessThanOrEqual(600);
  },
  120_000,
);
