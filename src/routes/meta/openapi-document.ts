/**
 * Makes the OpenAPI document out of the schemas that validate, without servers. The build calls it, and the Worker serves what
 * came of it (`openapi.ts`): what makes documents is no part of the Worker. This file has the parts that belong to no
 * operation, or to all of them.
 */
import type { Api } from "../../http/context.ts";
import { headers, replyHeaders } from "../../http/reply-headers.ts";
import { registerWebhooks } from "../webhooks/webhook-events.ts";
import { errorExamples } from "./error-examples.ts";

const info = {
  title: "wan-gateway",
  version: "0.1.0",
  summary: "Wan 2.7 image generation and editing: tasks that always end, pictures that stay.",
  description: [
    "A submission answers with a task. Read it, wait for it, stream it or be notified by webhook: all show the same record.",
    "Times are unix seconds, sizes bytes, money whole credits. A list is `{object, data, next_cursor}`.",
    "Every error is one envelope with a stable `error.code`. A path that there is not answers " +
      "404 `not_found`, and a method that a path does not have 405 `method_not_allowed` with `Allow`.",
    "Fields that replies do not have today may be added; fields and query parameters that a request does not have are refused.",
  ].join("\n\n"),
  license: { name: "MIT", identifier: "MIT" },
};

const tags = [
  ["Images", "Submit a generation or an edit, and fetch its pictures."],
  ["Files", "Reference images, uploaded for a few days."],
  ["OpenAI", "What OpenAI's clients send, as they send it: give them `<gateway>/openai/v1` as the base URL."],
  ["Tasks", "Read, list, stream, cancel and erase tasks."],
  ["Models", "What there is, and what it costs."],
  ["Client tokens", "Short-lived, limited tokens for a page's visitors."],
  ["Account", "Balance, limits, use and ledger of the tenant."],
  ["Keys", "The tenant's own keys. Scope `manage`."],
  ["Webhooks", "Where the tenant is notified of its tasks, and the deliveries. Scope `manage`."],
  ["Admin: tenants", "The operator's: tenants and what they are set to."],
  ["Admin: keys", "The operator's: keys of a tenant."],
  ["Admin: money", "The operator's: credits, ledgers and use."],
  ["Admin: tasks", "The operator's: tasks of all tenants."],
  ["Admin: webhooks", "The operator's: the delivery log of all tenants."],
  ["Admin: overview", "The operator's: figures, and whether the ledgers are sound."],
  ["Health", "Whether the gateway runs, and this document."],
].map(([name = "", description = ""]) => ({ name, description }));

const securitySchemes = {
  key: {
    type: "http",
    scheme: "bearer",
    description:
      "A tenant's key. `wsk_…`: secret, for servers alone, by its scopes `images` and `manage`. `wbk_…`: browser, from its " +
      "`allowed_origins`; submits, reads tasks by id, quotes, mints tokens by Turnstile. `wct_…`: a client token of one " +
      "end user, for minutes; as a browser key, within what it was minted with.",
  },
  link: {
    type: "apiKey",
    in: "query",
    name: "token",
    description: "The token of a task's `links.events`: that task alone, for an hour.",
  },
  admin: {
    type: "http",
    scheme: "bearer",
    description: "The operator's `ADMIN_API_KEY`, or for reading `ADMIN_READ_KEY`.",
  },
} as const;

function registerComponents(api: Api): void {
  const registry = api.openAPIRegistry;
  for (const [name, scheme] of Object.entries(securitySchemes)) {
    registry.registerComponent("securitySchemes", name, scheme);
  }
  for (const [name, header] of Object.entries(replyHeaders))
    registry.registerComponent("headers", name, header);
  for (const [code, example] of Object.entries(errorExamples())) {
    registry.registerComponent("examples", code, example);
  }
  // This reply belongs to no operation: a path gives it to all methods that it does not have.
  registry.registerComponent("responses", "MethodNotAllowed", {
    description: "`method_not_allowed`",
    headers: headers("x-request-id", "server-timing", "allow"),
    content: {
      "application/json": {
        schema: { $ref: "#/components/schemas/Error" },
        examples: { method_not_allowed: { $ref: "#/components/examples/method_not_allowed" } },
      },
    },
  });
  registerWebhooks(api);
}

interface Operation {
  security?: object[];
  responses: Record<string, { headers?: object }>;
}

/** The contracts, and the headers that all replies have. Once for an app. */
export function makeDocument(api: Api) {
  registerComponents(api);
  const document = api.getOpenAPI31Document({ openapi: "3.1.1", info, servers: [], tags });
  const operations = Object.values(document.paths ?? {}).flatMap((methods) => Object.values(methods));
  for (const { security, responses } of operations as Operation[]) {
    const always = security ? headers("x-request-id", "server-timing") : headers("x-request-id");
    for (const reply of Object.values(responses)) reply.headers = { ...always, ...reply.headers };
  }
  return document;
}
