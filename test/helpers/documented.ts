/**
 * Holds every reply that a test gets against the gateway's own OpenAPI document: its status, its body, the error's code
 * and the headers that the document knows of. A field that is not in the document counts as a fault, as a missing one
 * does; to callers the document promises less, so that fields may be added.
 */

import { env } from "cloudflare:workers";
import { type Schema, Validator } from "@cfworker/json-schema";
import type { Api } from "../../src/app.ts";
import type { Config } from "../../src/config.ts";
import { pagePaths } from "../../src/routes/meta/pages.ts";

interface Reference {
  $ref?: string;
}
interface Reply {
  content?: Record<string, { schema?: Schema; examples?: Record<string, Reference> }>;
  headers?: Record<string, Reference & { required?: boolean }>;
}
interface Operation {
  operationId: string;
  responses: Record<string, Reply>;
}
export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { headers: Record<string, { required?: boolean }>; responses: Record<string, Reply> };
}

/** By configuration: apps of one and the same have one and the same, and making it takes longer than most requests. */
const documents = new Map<string, Promise<Document>>();

async function documentOf(app: Api, config: Config): Promise<Document> {
  const same = JSON.stringify(config);
  let document = documents.get(same);
  if (!document) {
    // Not through the test's own way in: what it counts and breaks is none of this.
    const asked = app.fetch(new Request("https://gateway.example/openapi.json"), env, {} as ExecutionContext);
    document = Promise.resolve(asked).then((response) => response.json<Document>());
    documents.set(same, document);
  }
  return document;
}

/** @throws when the reply is not one that the document says this operation has. */
export async function expectDocumented(
  app: Api,
  config: Config,
  method: string,
  path: string,
  response: Response,
): Promise<void> {
  // As the Worker sees it: an address with dots in its path is another path.
  const { pathname } = new URL(`https://gateway.example${path}`);
  if (method === "OPTIONS" || isPage(pathname)) return;
  const document = await documentOf(app, config);
  const reply = findReply(document, method, pathname, response.status);
  const where = `${method} ${path.slice(0, 200)} answered ${response.status}`;
  if (!reply) throw new Error(`${where}, which /openapi.json does not say`);
  const problems = [
    ...headerProblems(document, reply, response),
    ...(await bodyProblems(document, reply, method, response)),
  ];
  if (problems.length > 0) throw new Error(`${where}, against /openapi.json: ${problems.join("; ")}`);
}

/** The pages are no part of the API. @param pathname Or the pattern of a route. */
export function isPage(pathname: string): boolean {
  return pagePaths.includes(pathname) || pathname.startsWith("/assets/");
}

/** What an operation may answer with; of a path or method that there is not, what every path answers. */
function findReply({ paths, components }: Document, method: string, pathname: string, status: number) {
  const found = Object.entries(paths)
    .filter(([template]) => matches(template, pathname))
    // One without parameters goes first.
    .toSorted(([a], [b]) => a.split("{").length - b.split("{").length);
  const operations = found.map(
    ([, methods]) => methods[method.toLowerCase()] ?? (method === "HEAD" ? methods.get : undefined),
  );
  const operation = operations.find((one) => one !== undefined);
  if (operation) return operation.responses[String(status)];
  if (status === 405 && found.length > 0) return components.responses.MethodNotAllowed;
  return unknownRoute(paths, pathname)[String(status)];
}

/** Behind a key, a caller without one is refused before it learns that there is nothing. */
function unknownRoute(paths: Document["paths"], pathname: string): Record<string, Reply> {
  const open = pathname.startsWith("/admin/api") ? paths["/admin/api/tenants/{id}"] : paths["/v1/keys/{key}"];
  const get = paths["/images/{file}"]?.get?.responses;
  const guarded = (open?.get ?? open?.delete)?.responses;
  return { ...(/^\/((openai\/)?v1|admin\/api)(\/|$)/.test(pathname) ? guarded : get) };
}

function matches(template: string, pathname: string): boolean {
  const wanted = template.split("/");
  const given = pathname.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, i) => (part.startsWith("{") ? given[i] !== "" : part === given[i]))
  );
}

function headerProblems({ components }: Document, reply: Reply, response: Response): string[] {
  const documented = reply.headers ?? {};
  const known = Object.keys(components.headers);
  const surplus = known
    .filter((name) => response.headers.has(name) && !(name in documented))
    // Of every body, whatever it is.
    .filter((name) => !["cache-control", "content-length"].includes(name));
  const missing = known.filter(
    (name) => components.headers[name]?.required && name in documented && !response.headers.has(name),
  );
  return [
    ...surplus.map((name) => `header ${name} is not documented`),
    ...missing.map((name) => `header ${name} is missing`),
  ];
}

async function bodyProblems(
  document: Document,
  reply: Reply,
  method: string,
  response: Response,
): Promise<string[]> {
  if (response.status === 204 || response.status === 304) return [];
  const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
  if (type === "" && !reply.content) return [];
  const content = reply.content?.[type];
  if (!content) return [`a body of type ${type || "none"} is not documented`];
  if (type !== "application/json" || method === "HEAD") return [];
  const body = await response.clone().json<{ error?: { code?: string } }>();
  const code = body.error?.code;
  const wrongCode =
    content.examples && code && !(code in content.examples) ? [`error ${code} is not documented`] : [];
  return [...wrongCode, ...schemaProblems(document, content.schema ?? {}, body)];
}

const validators = new WeakMap<object, Validator>();

/** What is wrong with a value by a schema of the document, every object of which counts as closed. */
export function schemaProblems(document: object, schema: Schema, value: unknown): string[] {
  let validator = validators.get(schema);
  if (!validator) {
    validator = new Validator(closed(document, schema) as Schema, "2020-12", false);
    validators.set(schema, validator);
  }
  const { valid, errors } = validator.validate(value);
  return valid ? [] : errors.map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`);
}

/** A schema with what it refers to in its place, and with no room for fields that it does not name. */
function closed(document: object, schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map((one) => closed(document, one));
  if (typeof schema !== "object" || schema === null) return schema;
  if ("$ref" in schema) return closed(document, resolve(document, String(schema.$ref)));
  const { examples: _examples, ...keywords } = schema as Record<string, unknown>;
  const inner = Object.fromEntries(
    Object.entries(keywords).map(([key, value]) => [key, closed(document, value)]),
  );
  return "properties" in schema && !("additionalProperties" in schema)
    ? { ...inner, additionalProperties: false }
    : inner;
}

export function resolve(document: object, reference: string): unknown {
  const steps = reference.replace(/^#\//, "").split("/");
  return steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document);
}
