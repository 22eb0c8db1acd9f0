/** What the gateway's start is measured against: the same framework and bindings, and nothing in it. */
import { Hono } from "hono";

/** Its binding wants a class. */
export class Tenant {}

export default new Hono().get("/healthz", (c) => c.json({ ok: true }));
