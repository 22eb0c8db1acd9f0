/** The bar over both pages: what this is, where else to go. */
import type { ComponentChildren } from "preact";

export function Bar({ page, children }: { page?: string; children?: ComponentChildren }) {
  return (
    <header class="bar">
      <a class="brand" href="/">
        <img src="/assets/icon.svg" alt="" />
        wan-gateway
      </a>
      {page && <span class="soft">{page}</span>}
      {children}
    </header>
  );
}
