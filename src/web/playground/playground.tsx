/** The whole page: the field for a key, and behind it where pictures are made. What is on the form outlives the key. */
import { useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { Bar } from "../ui/bar.tsx";
import { nowMs } from "../ui/browser.ts";
import { callWith } from "../ui/call.ts";
import type { Edit } from "./draft.ts";
import { keepDraft, readDraft } from "./kept-draft.ts";
import { keptSession, keptTaskIds, keyIsOver, type Session, SessionContext } from "./session.ts";
import { SignIn } from "./sign-in.tsx";
import { Workspace } from "./workspace.tsx";

export function Playground() {
  const client = useQueryClient();
  const [session, setSession] = useState(keptSession.read);
  const [notice, setNotice] = useState("");
  const [draft, setDraft] = useState(readDraft);
  const edit: Edit = (change) =>
    setDraft((now) => ({ ...now, ...(typeof change === "function" ? change(now) : change) }));
  useEffect(() => keepDraft(draft), [draft]);
  callWith(session?.key);

  const enter = (opened: Session) => {
    client.clear();
    keptSession.write(opened);
    setSession(opened);
    // What had the keyboard is gone; what comes next is the prompt.
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".draft textarea")?.focus());
  };
  const leave = (why = "") => {
    keptSession.write(undefined);
    // Another key's tasks are none of this one's business; with the same key anew they are listed again.
    if (why === "") keptTaskIds.write(undefined);
    setNotice(why);
    setSession(undefined);
  };
  useEnd(session, () => leave(keyIsOver));

  return (
    <>
      <Bar>
        <nav aria-label="Pages">
          <a href="/" aria-current="page">
            Playground
          </a>
          <a href="/docs">API reference</a>
          <a href="/admin">Dashboard</a>
        </nav>
        {session && (
          <span class="end">
            <button type="button" class="quiet" onClick={() => leave()}>
              Use another key
            </button>
          </span>
        )}
      </Bar>
      {session ? (
        <SessionContext.Provider value={{ session, leave }}>
          <Workspace draft={draft} edit={edit} />
        </SessionContext.Provider>
      ) : (
        <SignIn notice={notice} onOpen={enter} />
      )}
    </>
  );
}

/** Calls when the session's time is over. */
function useEnd(session: Session | undefined, onEnd: () => void): void {
  const endsMs = session?.expiresAt ? session.expiresAt * 1_000 : undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is done at the end is the same each time that it is drawn.
  useEffect(() => {
    if (endsMs === undefined) return;
    const timer = setTimeout(onEnd, Math.max(0, endsMs - nowMs()));
    return () => clearTimeout(timer);
  }, [endsMs]);
}
