/** Stored values that lack one field each, as an earlier version would have left them. */

type Tree = Record<string, unknown>;
const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The path of each field, of nested objects too. */
export function pathsOf(value: object, before: readonly string[] = []): string[][] {
  return Object.entries(value).flatMap(([name, inner]) => {
    const path = [...before, name];
    return isTree(inner) ? [path, ...pathsOf(inner, path)] : [path];
  });
}

/** The value without the field. */
export function without(value: object, path: readonly string[]): Tree {
  const [name = "", ...rest] = path;
  const { [name]: inner, ...others } = value as Tree;
  return rest.length === 0 ? others : { ...others, [name]: without(inner as object, rest) };
}

/** The value with another one in a field. */
export function withValue(value: object, path: readonly string[], other: unknown): Tree {
  const [name = "", ...rest] = path;
  const inner = (value as Tree)[name];
  return { ...value, [name]: rest.length === 0 ? other : withValue(inner as object, rest, other) };
}
