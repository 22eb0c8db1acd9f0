/**
 * What a page remembers: for this tab alone, and gone with it. Never in local storage, which every later visitor of the
 * machine could read, and never in the address.
 */
export function keptForTab<Value>(name: string) {
  return {
    read(): Value | undefined {
      try {
        const text = sessionStorage.getItem(name);
        return text === null ? undefined : (JSON.parse(text) as Value);
      } catch {
        // Storage is switched off, or holds something else: then nothing is remembered.
        return undefined;
      }
    },
    write(value: Value | undefined): void {
      try {
        if (value === undefined) sessionStorage.removeItem(name);
        else sessionStorage.setItem(name, JSON.stringify(value));
      } catch {
        // The page works without; a reload then asks again.
      }
    },
  };
}
