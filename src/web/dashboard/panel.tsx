/** A part of a tenant's page: heading, actions and content. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import "./panel.css";

interface PanelProps {
  title: string;
  actions?: ComponentChildren;
  /** As wide as the page. */
  isWide?: boolean;
  children: ComponentChildren;
}

export function Panel({ title, actions, isWide = false, children }: PanelProps) {
  const id = useId();
  return (
    <section class={isWide ? "panel wide" : "panel"} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {actions && <div class="row">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** The text in place of a list without rows. */
export function Placeholder({ children }: { children: ComponentChildren }) {
  return <p class="placeholder soft">{children}</p>;
}
