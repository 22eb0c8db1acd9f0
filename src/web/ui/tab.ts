/**
 * A value that a page keeps for this tab alone, and that is gone with the tab. Local storage would show it to every
 * later visitor of the machine, the address to everyone who is sent a link.
 */
export function keptForTab<Value>(name: string) {
  return {
    read(): Value | undefined {
      try {
        const text = sessionStorage.getItem(name);
        return text === null ? undefined : (JSON.parse(text) as Value);
      } catch {
        // Storage is switched off or holds something else: nothing is kept.
        return undefined;
      }
    },
    write(value: Value | undefined): void {
      try {
        if (value === undefined) sessionStorage.removeItem(name);
        else sessionStorage.setItem(name, JSON.stringify(value));
      } catch {
        // The page works without the value and asks for it again after a reload.
      }
    },
  };
}
