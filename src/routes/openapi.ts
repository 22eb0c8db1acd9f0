/** `GET /openapi.json`: OpenAPI 3.1, made from the very schemas that validate. */
import type { Api } from "./context.ts";

export function openApiDocument(api: Api): void {
  api.openAPIRegistry.registerComponent("securitySchemes", "key", {
    type: "http",
    scheme: "bearer",
    description: "A tenant's key: `wsk_…`.",
  });
  api.openAPIRegistry.registerComponent("securitySchemes", "admin", {
    type: "http",
    scheme: "bearer",
    description: "The operator's `ADMIN_API_KEY`, or for reading `ADMIN_READ_KEY`.",
  });
  api.get("/openapi.json", (c) =>
    c.json(
      api.getOpenAPI31Document({
        openapi: "3.1.0",
        info: {
          title: "wan-gateway",
          version: "0.1.0",
          description: "Wan 2.7 image generation and editing: tasks that always end, pictures that stay.",
          license: { name: "MIT", url: "https://spdx.org/licenses/MIT.html" },
        },
        servers: [{ url: c.get("deps").config.PUBLIC_BASE_URL ?? c.get("origin") }],
      }),
      200,
      { "access-control-allow-origin": "*" },
    ),
  );
}
