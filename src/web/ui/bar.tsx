/** The bar over both pages: the product, the page, and the ways to the other pages. */
import type { ComponentChildren } from "preact";
import "./bar.css";

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
