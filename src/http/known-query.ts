/**
 * Refuses parameters of a query that a route does not have, by their names: a misspelt filter would show everything, and
 * look as if it had worked.
 */
import { createMiddleware } from "hono/factory";
import type * as z from "zod";
import { routeName } from "./call-limits.ts";
import type { Api, AppEnv } from "./context.ts";
import { invalidRequest } from "./validation.ts";

/** What the routes take in a query, by method and path as the app registers them. */
function parametersOf(api: Api): Map<string, string[]> {
  const routes = api.openAPIRegistry.definitions.flatMap((one) => (one.type === "route" ? [one.route] : []));
  return new Map(
    routes.map(({ method, path, request, security }) => {
      const { shape = {} } = (request?.query ?? {}) as { shape?: z.core.$ZodShape };
      // A signed link is a parameter too.
      const link = security?.some((one) => "link" in one) ? ["token"] : [];
      const name = `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`;
      return [name, [...Object.keys(shape), ...link]];
    }),
  );
}

/** @throws ApiError `invalid_request` for parameters that the route does not have. */
export function knownQuery(api: Api) {
  let parameters: Map<string, string[]> | undefined;
  return createMiddleware<AppEnv>(async (c, next) => {
    // Not as the framework reads them, which passes over a parameter without a name.
    const given = [...new URL(c.req.url).searchParams.keys()].map((name) => name || '""');
    if (given.length > 0) {
      parameters ??= parametersOf(api);
      // What is no route answers 404 or 405.
      const taken = parameters.get(routeName(c)) ?? given;
      const unknown = given.filter((name) => !taken.includes(name));
      const all = taken.length > 0 ? taken.join(", ") : "none";
      const message = `is not a parameter of this route, which takes ${all}`;
      if (unknown.length > 0) throw invalidRequest(unknown.map((name) => ({ path: [name], message })));
    }
    await next();
  });
}
