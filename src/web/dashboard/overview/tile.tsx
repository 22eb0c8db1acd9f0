/** One figure, large, with what explains it below. */
import type { ComponentChildren } from "preact";

export interface TileProps {
  title: string;
  figure: ComponentChildren;
  tone?: "good" | "busy" | "bad" | undefined;
  children?: ComponentChildren;
}

export function Tile({ title, figure, tone, children }: TileProps) {
  return (
    <section class={`panel tile ${tone ?? ""}`} aria-label={title}>
      <h2>{title}</h2>
      <p class="figure">{figure}</p>
      {children}
    </section>
  );
}

/** Names with figures. */
export function Lines({ lines }: { lines: [name: ComponentChildren, value: ComponentChildren][] }) {
  return (
    <ul class="lines">
      {lines.map(([name, value], index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: names can be elements, and the lines have a fixed order.
        <li key={index}>
          <span>{name}</span> <b>{value}</b>
        </li>
      ))}
    </ul>
  );
}
