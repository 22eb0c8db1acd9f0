/** A bound for what an isolate remembers. */

/**
 * Sets an entry as the newest of a map. Old ones go, and the oldest where there would be more than `most`.
 * @param isOld Of entries from the oldest on; those behind the first that is not old are younger.
 */
export function setNewest<Value>(
  map: Map<string, Value>,
  name: string,
  value: Value,
  most: number,
  isOld: (value: Value) => boolean,
): void {
  map.delete(name);
  for (const [oldest, known] of map) {
    if (map.size < most && !isOld(known)) break;
    map.delete(oldest);
  }
  map.set(name, value);
}
