/** A table that scrolls by itself on a narrow screen, by keyboard too. */
import type { ComponentChildren } from "preact";
import "./scroller.css";

export function Scroller({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <section class="scroller" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
