/** What the tests of the operator's API share. */
import { expect } from "vitest";
import type { TestGateway } from "./gateway.ts";

/** One value of each JSON type. */
const samples = { string: "yes", number: 1, boolean: true, null: null, array: ["x"], object: { a: "b" } };

/** Those that a field of the given types has to refuse. */
export const typesBut = (...own: (keyof typeof samples)[]): [string, unknown][] =>
  Object.entries(samples).filter(([type]) => !(own as string[]).includes(type));

interface Page<Item> {
  object: string;
  data: Item[];
  next_cursor: string | null;
}

/** Reads a list page by page, to its end. */
export async function pageThrough<Item>(
  gateway: TestGateway,
  path: string,
  limit: number,
): Promise<Item[][]> {
  const pages: Item[][] = [];
  let cursor: string | null = "";
  while (cursor !== null && pages.length < 50) {
    const response = await gateway.admin(
      "GET",
      `${path}?limit=${limit}&cursor=${encodeURIComponent(cursor)}`,
    );
    expect(response.status).toBe(200);
    const page: Page<Item> = await response.json();
    pages.push(page.data);
    cursor = page.next_cursor;
  }
  expect(cursor).toBeNull();
  return pages;
}
