/**
 * In the bundle this stands for what makes OpenAPI documents (`[alias]` in wrangler.toml), since the build has made it by then.
 * Of the routes it keeps what the app reads of them.
 */

interface Definition {
  type: "route";
  route: object;
}

export class OpenAPIRegistry {
  readonly definitions: Definition[] = [];

  registerPath(route: object): void {
    this.definitions.push({ type: "route", route });
  }
}

/** No app asks for a document. */
export class OpenApiGeneratorV3 {}
export class OpenApiGeneratorV31 {}
export const getOpenApiMetadata = () => ({});

/** Schemas are described by zod's own `meta`. */
export const extendZodWithOpenApi = (): void => undefined;
