/** The document as a reader uses it: examples that hold by their own schemas, headers where they occur, webhooks. */
import type { Schema } from "@cfworker/json-schema";
import { beforeAll, describe, expect, it } from "vitest";
import { allEvents } from "../../helpers/contract.ts";
import { resolve, schemaProblems } from "../../helpers/documented.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";

interface Content {
  schema?: Schema;
  examples?: Record<string, { $ref: string }>;
}
interface Body {
  content?: Record<string, Content>;
  headers?: Record<string, { $ref: string }>;
}
interface Operation {
  operationId: string;
  tags: string[];
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: Body;
  responses: Record<string, Body>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  webhooks: Record<string, Record<string, Operation>>;
  tags: { name: string; description: string }[];
  info: { license: object };
}

const gateway = startGateway();
let document: Document;
let operations: Operation[] = [];
beforeAll(async () => {
  document = await (await gateway.fetch("/openapi.json")).json();
  const both = [...Object.values(document.paths), ...Object.values(document.webhooks)];
  operations = both.flatMap((methods) => Object.values(methods));
});

const operation = (id: string) => operations.find((one) => one.operationId === id);

/** A schema's examples; a list's are made of its items'. */
function examplesOf(schema: Schema): unknown[] {
  if (schema.$ref) return examplesOf(resolve(document, schema.$ref) as Schema);
  if (schema.examples) return schema.examples as unknown[];
  const data = schema.properties?.data as Schema | undefined;
  if (!data?.items) return [];
  const cursor = schema.properties?.next_cursor ? { next_cursor: null } : {};
  return [{ object: "list", data: examplesOf(data.items as Schema), ...cursor }];
}

describe("an example", () => {
  it("is given for each JSON body and reply, and is what its schema takes", () => {
    const checked = operations.flatMap(({ operationId, requestBody, responses }) =>
      [requestBody, ...Object.values(responses)].flatMap((body) => {
        const content = body?.content?.["application/json"];
        if (!content?.schema) return [];
        const examples = content.examples
          ? Object.values(content.examples).map(
              ({ $ref }) => (resolve(document, $ref) as { value: unknown }).value,
            )
          : examplesOf(content.schema);
        expect([operationId, examples.length]).not.toEqual([operationId, 0]);
        return examples.map((example) => {
          const problems = schemaProblems(document, content.schema ?? {}, example);
          return { operationId, problems, example };
        });
      }),
    );
    expect(checked.length).toBeGreaterThan(100);
    expect(checked.filter(({ problems }) => problems.length > 0)).toEqual([]);
  });

  it("of a submission is one that is taken, but for its key", async () => {
    const tenant = await gateway.makeTenant();
    const body = operation("create-image")?.requestBody?.content?.["application/json"]?.schema;
    for (const example of examplesOf(body ?? {})) {
      await expectError(await gateway.post("/v1/images/generations", example), "missing_key");
      const headers = { authorization: `Bearer ${tenant.key}` };
      expect((await gateway.post("/v1/images/generations", example, headers)).status).toBe(200);
    }
  });
});

describe("a reply's headers", () => {
  const namesOf = (id: string, status: string) =>
    Object.keys(operation(id)?.responses[status]?.headers ?? {});

  it("are documented where they occur", () => {
    const limits = ["ratelimit", "ratelimit-policy", "x-ratelimit-remaining-requests"];
    const submitted = [
      "location",
      "retry-after",
      "idempotency-replayed",
      "preference-applied",
      "server-timing",
    ];
    expect(namesOf("create-image", "200")).toEqual(expect.arrayContaining([...limits, ...submitted]));
    expect(namesOf("create-image", "429")).toEqual(
      expect.arrayContaining([...limits, "retry-after", "x-should-retry"]),
    );
    expect(namesOf("create-image", "402")).toContain("x-should-retry");
    expect(namesOf("get-task", "200")).toEqual(expect.arrayContaining(["etag", "retry-after"]));
    expect(namesOf("get-task", "401")).toContain("www-authenticate");
    expect(namesOf("get-image", "206")).toEqual(expect.arrayContaining(["content-range", "etag"]));
    expect(namesOf("get-image", "416")).toContain("content-range");
    expect(namesOf("get-ledger", "200")).toContain("content-disposition");
  });

  it("name the request in every reply there is, and lead to something", () => {
    for (const methods of Object.values(document.paths)) {
      for (const { operationId, responses } of Object.values(methods)) {
        for (const [status, { headers = {} }] of Object.entries(responses)) {
          expect([operationId, status, Object.keys(headers)]).toEqual([
            operationId,
            status,
            expect.arrayContaining(["x-request-id"]),
          ]);
          for (const { $ref } of Object.values(headers)) expect(resolve(document, $ref)).toBeTypeOf("object");
        }
      }
    }
  });
});

describe("the rest of the document", () => {
  it("says what each group of operations is for, and what may be done with the gateway", () => {
    const known = document.tags.map(({ name }) => name);
    expect(new Set(operations.flatMap(({ tags }) => tags))).toEqual(new Set(known));
    for (const { description } of document.tags) expect(description).toMatch(/\S/);
    expect(document.info.license).toEqual({ name: "MIT", identifier: "MIT" });
  });

  it("has the requests that the gateway sends, with their signature", () => {
    expect(Object.keys(document.webhooks)).toEqual([...allEvents, "webhook.disabled", "callback_url"]);
    for (const methods of Object.values(document.webhooks)) {
      const names = methods.post?.parameters?.map((one) => `${one.in} ${one.name}`);
      expect(names).toEqual(["header webhook-id", "header webhook-timestamp", "header webhook-signature"]);
    }
  });

  it("has the bounds of what comes in headers and addresses", () => {
    const parameter = (id: string, name: string) =>
      operation(id)?.parameters?.find((one) => one.name === name)?.schema;
    expect(parameter("create-image", "idempotency-key")).toMatchObject({ pattern: "^[\\x21-\\x7e]{1,255}$" });
    expect(parameter("get-task", "wait")).toMatchObject({ type: "integer", minimum: 1, maximum: 60 });
    expect(parameter("list-tasks", "limit")).toMatchObject({ minimum: 1, maximum: 100, default: 20 });
    expect(parameter("list-tasks", "created_after")).toMatchObject({ type: "integer", minimum: 0 });
    expect(parameter("get-usage", "from")).toMatchObject({ pattern: expect.stringContaining("\\d{4}-") });
    for (const [id, name] of [
      ["get-task", "if-none-match"],
      ["get-image", "range"],
      ["task-events", "last-event-id"],
    ] as const) {
      expect(parameter(id, name)).toMatchObject({ type: "string" });
    }
  });
});
