/** Bindings that only tests inside workerd have. */
/// <reference types="@cloudflare/vitest-pool-workers/types" />

declare namespace Cloudflare {
  interface Env {
    MIGRATIONS: import("cloudflare:test").D1Migration[];
    PICTURES: Fetcher;
    /** The OpenAPI document, as the build makes it: JSON. */
    OPENAPI_DOCUMENT: string;
  }
}

/** A document's text. */
declare module "*.md?raw" {
  const text: string;
  export default text;
}
