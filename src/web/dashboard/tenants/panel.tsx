/** A part of a tenant's page: its heading, what can be done there, and what it shows. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

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

/** What has no rows says so, instead of showing an empty table. */
export function Nothing({ children }: { children: ComponentChildren }) {
  return <p class="nothing soft">{children}</p>;
}
