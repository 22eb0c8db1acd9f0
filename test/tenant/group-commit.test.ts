/** Writes that come together go together, and each writer is told of its own. */
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { GroupCommit } from "../../src/tenant/group-commit.ts";

/** A group commit whose calls wait until they are let go, one by one. */
function held() {
  const sizes: number[] = [];
  const gates: { open: () => void; fail: (error: Error) => void }[] = [];
  const group = new GroupCommit(async (statements) => {
    sizes.push(statements.length);
    const gate = Promise.withResolvers<void>();
    gates.push({ open: gate.resolve, fail: gate.reject });
    await gate.promise;
    return env.DB.batch(statements);
  });
  return { group, sizes, gates };
}

const says = (word: string) => env.DB.prepare("SELECT ?1 AS word").bind(word);
const words = (results: D1Result[] | null) =>
  results?.map(({ results: [row] }) => (row as { word: string }).word);

it("sends a single write at once, alone", async () => {
  const { group, sizes, gates } = held();
  const written = group.write([says("one")]);
  expect(sizes).toEqual([1]);
  gates[0]?.open();
  expect(words(await written)).toEqual(["one"]);
});

it("sends together what came while a call was under way, and hands each its own results", async () => {
  const { group, sizes, gates } = held();
  const first = group.write([says("first")]);
  const later = Array.from({ length: 50 }, (_, i) => group.write([says(`a${i}`), says(`b${i}`)]));
  gates[0]?.open();
  expect(words(await first)).toEqual(["first"]);
  const gate = await vi.waitUntil(() => gates[1], { timeout: 5_000 });
  expect(sizes).toEqual([1, 100]);
  gate.open();
  expect((await Promise.all(later)).map(words)).toEqual(later.map((_, i) => [`a${i}`, `b${i}`]));
});

it("sends no more than 64 writes in one call", async () => {
  const { group, sizes, gates } = held();
  const all = Array.from({ length: 130 }, (_, i) => group.write([says(`${i}`)]));
  for (let call = 0; call < 4; call++) {
    const gate = await vi.waitUntil(() => gates[call], { timeout: 5_000 });
    gate.open();
  }
  await Promise.all(all);
  expect(sizes).toEqual([1, 64, 64, 1]);
});

it("does not know of a call that failed, sends nothing that waited behind it, and goes on", async () => {
  const { group, sizes, gates } = held();
  const first = group.write([says("first")]);
  const waiting = group.write([says("waiting")]);
  gates[0]?.fail(new Error("D1 is away"));
  expect([await first, await waiting]).toEqual([null, null]);
  expect(sizes).toEqual([1]);
  const next = group.write([says("next")]);
  gates[1]?.open();
  expect(words(await next)).toEqual(["next"]);
});
