/**
 * What a fixture of stored data is: all that one version of the gateway has stored, and what it has issued. `made` and
 * `shown` say it in the API's own words, which outlive columns; the other parts are rows as they were, by whatever names
 * they had then.
 */

export type Value = string | number | null;
/** By name. Rows have their values in the order of the columns. */
export type Tables = Record<string, { columns: string[]; rows: Value[][] }>;

/** `made.json`: when and with what it was made, and the strings that live outside the database. */
export interface Made {
  /** The clock at which all of it stood still, unix milliseconds. */
  nowMs: number;
  /** Made for this fixture; no gateway in use has them. */
  secrets: Record<"UPSTREAM_API_KEY" | "ADMIN_API_KEY" | "KEY_SIGNING_SECRET", string>;
  /** Origin of the gateway in every stored link. */
  origin: string;
  tenants: { active: string[]; suspended: string[]; deleted: string[] };
  /** Keys that work, and what each may do. */
  keys: MadeKey[];
  /** Keys and tokens that are refused: revoked, expired, of a tenant that is suspended or gone. */
  deadKeys: { name: string; key: string; code: string }[];
  /** Paths of signed event links that work. */
  eventLinks: { task: string; path: string }[];
  /** Paths of pictures and files, with the status that a reader gets. */
  images: { tenant: string; path: string; status: number; bytes?: number }[];
  files: { path: string; status: number; bytes?: number }[];
  /** Paths of pages that go on with a list, and the names of what is on them. */
  cursors: { as: string; path: string; page: string[] }[];
  /** A request that came before, and the task that it got. */
  replays: { key: string; idempotencyKey: string; body: Record<string, unknown>; task: string }[];
  /** Bodies of messages that wait in the Queue. */
  messages: string[];
  /** What receivers of webhooks and callbacks answer, by origin. */
  receivers: Record<string, number>;
  /** Tasks that go on and are erased once they have ended. */
  toBeErased: string[];
  /** Before there was an outbox: what has been admitted and has no row, and never will have one. */
  withoutRow: string[];
  /** What D1 lacks so far, and tenants' objects have. */
  inOutbox: string[];
  /** Ids of tasks and files by the name of the scene that made them. */
  scenes: Record<string, string>;
}

export interface MadeKey {
  name: string;
  tenant: string;
  kind: "secret" | "browser" | "token";
  key: string;
  /** A page that it may be used from. */
  page?: string;
  model: string;
  submits: boolean;
  manages: boolean;
}

/** `shown.json`: what callers were shown. */
export interface Shown {
  tasks: ShownTask[];
  /** By tenant. */
  money: Record<string, { balance: number | null; held: number; available: number | null }>;
  /** By tenant: how often each type is in the ledger, and its sum. */
  ledger: Record<string, Record<string, { lines: number; amount: number }>>;
  /** By tenant and model. */
  usage: { tenant: string; model: string; tasks: number; images: number; credits: number }[];
  deliveries: {
    id: string;
    tenant: string;
    event: string;
    task: string | null;
    target: string;
    status: string;
  }[];
  keys: { id: string; tenant: string; kind: string; name: string }[];
}

/** What is absent is null, false, 0 or empty. */
export interface ShownTask {
  id: string;
  tenant: string;
  key: string;
  model: string;
  state: string;
  status: string;
  created: number;
  input: Record<string, unknown>;
  /** Its owner gets 410. */
  erased?: true;
  hidden?: true;
  metadata?: Record<string, string>;
  end_user?: string;
  upstream_id?: string;
  /** The other fields of the operator's view. */
  [field: string]: unknown;
}

/** `d1.json` */
export interface Database {
  /** Name of the last migration that was applied. */
  migration: string;
  tables: Tables;
}

/** `objects.json`: each tenant's object. */
export interface StoredObject {
  tenant: string;
  /** The statements that made its tables and indexes. */
  schema: string[];
  tables: Tables;
}

/** `bucket.json` */
export interface StoredBytes {
  key: string;
  /** Base 64. */
  bytes: string;
  httpMetadata: Record<string, string>;
  customMetadata: Record<string, string>;
}

export interface Fixture {
  /** Its folder. */
  version: string;
  made: Made;
  shown: Shown;
  d1: Database;
  objects: StoredObject[];
  bucket: StoredBytes[];
}
