/**
 * Calls to the gateway, through the client that is generated from the API's document. A refusal is thrown as one kind
 * of error, which carries the gateway's words, the field that they belong to, and when to try again.
 */
import { defaults, type Error as ErrorBody } from "#gateway";

/** A refusal by the gateway, or the reason why no reply came. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /** A code of the contract; `no_reply` when the gateway did not reply. */
  readonly code: ErrorBody["error"]["code"] | "no_reply";
  /** 0 when there was no reply. */
  readonly status: number;
  /** The first field that breaks its rule. */
  readonly param: string | null;
  /** The gateway's wait before another attempt; null: not stated. */
  readonly retryAfterSeconds: number | null;
  readonly requestId: string | null;
  /** Whether the request took effect is not known. */
  readonly isUnknown: boolean;

  constructor(
    message: string,
    known: Partial<Omit<Refusal, keyof Error>> & { code: Refusal["code"]; status: number },
  ) {
    super(message);
    this.code = known.code;
    this.status = known.status;
    this.param = known.param ?? null;
    this.retryAfterSeconds = known.retryAfterSeconds ?? null;
    this.requestId = known.requestId ?? null;
    this.isUnknown = known.isUnknown ?? false;
  }
}

interface Reply {
  status: number;
  data?: unknown;
  headers: Headers;
}
type Done = 200 | 201 | 202 | 204;
type DataOf<Answer extends Reply> =
  Extract<Answer, { status: Done }> extends { data: infer Data } ? Data : undefined;

/** The data of a reply of success. @throws Refusal for every other reply, and for none. */
export async function call<Answer extends Reply>(asked: Promise<Answer>): Promise<DataOf<Answer>> {
  const reply = await asked.catch(() => {
    throw new Refusal("The gateway cannot be reached. Is it running, and are you online?", {
      code: "no_reply",
      status: 0,
    });
  });
  if (reply.status >= 200 && reply.status < 300) return reply.data as DataOf<Answer>;
  throw refusal(reply.status, reply.data, reply.headers);
}

/** The error that a reply stands for. The reply may also come from a proxy in front of the gateway. */
export function refusal(status: number, data: unknown, headers: Headers): Refusal {
  const wait = Number(headers.get("retry-after") ?? Number.NaN);
  const retryAfterSeconds = Number.isFinite(wait) ? wait : null;
  const { error, request_id: requestId } = (data ?? {}) as Partial<ErrorBody>;
  if (!error) {
    const text = `Something in front of the gateway answered ${status}.`;
    return new Refusal(text, { code: "no_reply", status, retryAfterSeconds });
  }
  const { code, message, param, charged } = error;
  const known = { code, status, param, retryAfterSeconds, isUnknown: charged === "unknown" };
  return new Refusal(message, { ...known, ...(requestId && { requestId }) });
}

/** Sets the key or token of all later calls of this page; undefined: none. It is held in memory alone. */
export function callWith(key: string | undefined): void {
  defaults.baseUrl = "";
  defaults.headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
}
