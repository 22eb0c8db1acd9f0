/** What is typed into a form, between what the server has and what it is to be told. */
import { useState } from "preact/hooks";

/**
 * What a person has changed, over what the server has: a field that nobody touched follows the server.
 * @param server The fields' texts as the server has them.
 */
export function useEdits<Name extends string>(server: Record<Name, string>) {
  const [edits, setEdits] = useState<Partial<Record<Name, string>>>({});
  const value = (name: Name): string => edits[name] ?? server[name];
  return {
    value,
    edit: (name: Name, text: string) => setEdits((before) => ({ ...before, [name]: text })),
    changed: (Object.keys(server) as Name[]).filter((name) => value(name) !== server[name]),
    forget: () => setEdits({}),
  };
}

/** A whole number as the API takes it; empty: null. What is no number goes as it is, for the gateway to refuse. */
export function numberOf(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  return /^[+-]?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : (trimmed as unknown as number);
}

export const textOf = (value: number | null | undefined): string => (value == null ? "" : String(value));
