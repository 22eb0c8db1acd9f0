/** Base 64 of a stream is that of its bytes, wherever it was cut: a cut that shows is a broken picture. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { base64Of } from "../../../src/routes/openai/base64.ts";

async function encoded(chunks: Uint8Array[]): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of base64Of(streamed(chunks))) texts.push(text);
  return texts;
}

async function* streamed(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

it("is the same text however the bytes come in", async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(chunks, async (parts) => {
      const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
      const text = (await encoded(parts)).join("");
      expect(text).toBe(btoa(String.fromCharCode(...whole)));
      expect(Uint8Array.fromBase64(text)).toEqual(whole);
    }),
    { numRuns: 500 },
  );
});

it("is given away as it comes, so that no picture is held whole", async () => {
  const texts = await encoded(Array.from({ length: 100 }, () => new Uint8Array(1_000)));
  expect(texts.length).toBeGreaterThanOrEqual(100);
  expect(Math.max(...texts.map((text) => text.length))).toBeLessThan(1_500);
});

it("leaves the bytes that it was given as they were", async () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  await encoded([bytes, bytes]);
  expect(bytes).toEqual(Uint8Array.of(1, 2, 3, 4));
});
