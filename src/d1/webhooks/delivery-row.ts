/** The codec of `deliveries`, for the sender and for the log, and the words that its statements use. */
import {
  bit,
  type Columns,
  type Decode,
  json,
  list,
  oneOf,
  orNull,
  record,
  rowCodec,
  text,
  whole,
  word,
} from "../../domain/stored.ts";
import { type DeliveryEvent, type DeliveryState, deliveryStates } from "../../domain/webhooks.ts";

const storedStates = [...deliveryStates, "sending"] as const;
type StoredState = (typeof storedStates)[number];

/** The stored states that callers see as one. */
export const storedAs = (state: DeliveryState): readonly StoredState[] =>
  state === "pending" ? ["pending", "sending"] : [state];

/** The endpoint of a tenant's own webhook. */
export const webhookEndpoint = "webhook";
/** The endpoint of a tenant's second address, which is notified that an endpoint was switched off. */
export const notifyEndpoint = "notify";

/** Whether an endpoint is an address of the tenant's own, and no origin of callbacks. */
export const isOwnEndpoint = (endpoint: string) =>
  endpoint === webhookEndpoint || endpoint === notifyEndpoint;

/** What the two deliveries of a task's end are called: its id behind `msg-`, and one of these. */
export const endSuffixes = { webhook: "-w", callback: "-c" } as const;

/**
 * SQL: the `callback_url` of the row `task`. Guarded: `json_extract` of a text that is no JSON would fail the statement
 * for every task.
 */
export const callback = "iif(json_valid(task.input), json_extract(task.input, '$.callback_url'), NULL)";

const columns = {
  id: ["id", text],
  tenantId: ["tenant_id", text],
  endpoint: ["endpoint", text],
  event: ["event", word<DeliveryEvent>()],
  taskId: ["task_id", orNull(text)],
  createdMs: ["created_ms", whole],
  attempts: ["attempts", whole],
} as const;

export interface Delivery {
  id: string;
  tenantId: string;
  /** {@link webhookEndpoint}, {@link notifyEndpoint}, or the origin of a task's `callback_url`. */
  endpoint: string;
  event: DeliveryEvent;
  taskId: string | null;
  state: DeliveryState;
  createdMs: number;
  /** When it is attempted next; null: no more. */
  dueMs: number | null;
  attempts: number;
  lastMs: number | null;
  lastStatus: number | null;
  lastProblem: string | null;
}

const logged = rowCodec<Omit<Delivery, "state"> & { state: StoredState; isOpen: boolean; dueMs: number }>(
  "deliveries",
  {
    ...columns,
    state: ["state", oneOf(storedStates)],
    isOpen: ["open", bit],
    dueMs: ["due_ms", whole],
    lastMs: ["last_ms", orNull(whole)],
    lastStatus: ["last_status", orNull(whole)],
    lastProblem: ["last_problem", orNull(text)],
  },
);

/** @throws StoredDataUnreadable */
export function deliveryFromRow(row: unknown): Delivery {
  const { isOpen, state, dueMs, ...rest } = logged.read(row);
  return { ...rest, state: state === "sending" ? "pending" : state, dueMs: isOpen ? dueMs : null };
}

/** A delivery as its sender has claimed it, beside the columns of its tenant that say where it goes. */
export interface ClaimedRow
  extends Pick<Delivery, "id" | "tenantId" | "endpoint" | "event" | "taskId" | "createdMs" | "attempts"> {
  /** When its tenant or the operator last retried it; null: never. */
  retriedMs: number | null;
  leaseUntilMs: number;
  data: object | null;
  webhookUrl: string | null;
  notifyUrl: string | null;
  /** Those that the tenant wants, null for all: of an event for its webhook, which is not sent before they can be read. */
  events: string[] | null;
  secret: string;
  secretsBefore: SecretBefore[];
  isGone: boolean;
}

/** A webhook secret that was replaced, and still signs. */
export interface SecretBefore {
  text: string;
  untilMs: number;
}

const anyObject: Decode<object> = record({});

export const claimed = rowCodec<ClaimedRow>("deliveries", {
  ...columns,
  retriedMs: ["retried_ms", orNull(whole)],
  leaseUntilMs: ["due_ms", whole],
  data: ["data", orNull(json(anyObject))],
  webhookUrl: ["webhook_url", orNull(text)],
  notifyUrl: ["webhook_notify_url", orNull(text)],
  events: ["webhook_events", orNull(json(list(text)))],
  secret: ["webhook_secret", text],
  secretsBefore: ["webhook_secrets_before", json(list(record<SecretBefore>({ text, untilMs: whole })))],
  isGone: ["gone", bit],
} satisfies Columns<ClaimedRow>);
