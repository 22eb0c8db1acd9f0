/** The edits of a form over the server's values. */
import { useState } from "preact/hooks";

/**
 * The operator's edits over the server's values. A field without an edit shows the server's newest value.
 * @param server The fields' texts by the server's values.
 */
export function useEdits<Name extends string>(server: Record<Name, string>) {
  const [edits, setEdits] = useState<Partial<Record<Name, string>>>({});
  const value = (name: Name): string => edits[name] ?? server[name];
  return {
    value,
    edit: (name: Name, text: string) => setEdits((before) => ({ ...before, [name]: text })),
    changed: (Object.keys(server) as Name[]).filter((name) => value(name) !== server[name]),
    reset: () => setEdits({}),
  };
}

/** The number that the API takes; empty: null. Other text is sent unchanged, for the gateway to refuse. */
export function numberOf(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  return /^[+-]?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : (trimmed as unknown as number);
}

export const textOf = (value: number | null | undefined): string => (value == null ? "" : String(value));
