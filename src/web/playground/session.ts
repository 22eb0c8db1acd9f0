/**
 * The key of the page's calls. A secret key is used once, to make a client token, and is not kept. The tab keeps the
 * token, which is worth little to a thief: it lives an hour and works from this page's origin alone.
 */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { createClientToken, listModels, listTasks } from "#gateway";
import { nowMs } from "../ui/browser.ts";
import { call, Refusal } from "../ui/call.ts";
import { keptForTab } from "../ui/tab.ts";

export interface Session {
  /** A client token or a browser key; never a secret key. */
  key: string;
  /** Unix seconds by the page's clock; null: not known. */
  expiresAt: number | null;
  /** Whether the key may list its tasks. Otherwise the tab keeps their ids. */
  lists: boolean;
  /** Whether the key may upload references. */
  uploads: boolean;
}

export const keptSession = keptForTab<Session>("wan-gateway playground key");
/** Ids of the tasks of this tab, newest first, for keys that cannot list them. */
export const keptTaskIds = keptForTab<string[]>("wan-gateway playground tasks");
const mostTaskIds = 200;

export function rememberTask(id: string): void {
  const others = (keptTaskIds.read() ?? []).filter((other) => other !== id);
  keptTaskIds.write([id, ...others].slice(0, mostTaskIds));
}

const lifeSeconds = 3_600;
const mostImages = 1_000;

/** Opens a session with a key as it was typed. @throws Refusal when the gateway refuses the key. */
export async function openSession(typed: string): Promise<Session> {
  const key = typed.trim();
  const [, kind] = /^(wsk|wbk|wct)_[\x21-\x7e]+$/.exec(key) ?? [];
  if (kind === undefined) {
    const text = "This is no key of the gateway's: those begin with wsk_, wbk_ or wct_.";
    throw new Refusal(text, { code: "invalid_key", status: 401 });
  }
  const opts = { headers: { authorization: `Bearer ${key}` } };
  if (kind === "wsk") {
    const wanted = {
      ttl_seconds: lifeSeconds,
      max_images: mostImages,
      allowed_origins: [location.origin],
      // The end user is the same for each token of a key, so that a new token lists the older pictures.
      end_user: `playground-${key.split("_")[2]}`,
    };
    const { token } = await call(createClientToken(wanted, opts));
    // The page's clock may be far from the gateway's, so the end is counted from here.
    const expiresAt = Math.floor(nowMs() / 1_000) + lifeSeconds;
    return { key: token, expiresAt, lists: true, uploads: true };
  }
  await call(listModels(opts));
  const lists = await call(listTasks({ limit: 1 }, opts)).then(() => true, isDenied);
  return { key, expiresAt: null, lists, uploads: kind === "wct" };
}

function isDenied(error: unknown): false {
  if (error instanceof Refusal && error.code === "scope_denied") return false;
  throw error;
}

export interface OpenSession {
  session: Session;
  /** Signs out. @param why The notice on the sign-in form; undefined: the person signed out. */
  leave(why?: string): void;
}

export const SessionContext = createContext<OpenSession | undefined>(undefined);

export const keyIsOver =
  "This key is no longer good: its time is over, or it was revoked. Put in a key to go on; what you typed is still there.";

/** The session, and `ask`, which makes a call with its key. A call that is refused with 401 ends the session. */
export function useSession() {
  const open = useContext(SessionContext);
  if (!open) throw new Error("there is no session");
  const ask = (async (asked: Parameters<typeof call>[0]) => {
    try {
      return await call(asked);
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) open.leave(keyIsOver);
      throw error;
    }
  }) as typeof call;
  return { ...open, ask };
}
