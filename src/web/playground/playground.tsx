/** `/`: sign-in with a key, and after it the workspace. The form's draft outlives the key. */
import "../ui/base.css";
import "../ui/controls.css";
import "./playground.css";
import { useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { Bar } from "../ui/bar.tsx";
import { nowMs } from "../ui/browser.ts";
import { callWith } from "../ui/call.ts";
import { start } from "../ui/start.tsx";
import type { Edit } from "./form/draft.ts";
import { keepDraft, readDraft } from "./form/kept-draft.ts";
import { keptSession, keptTaskIds, keyIsOver, type Session, SessionContext } from "./session.ts";
import { SignIn } from "./sign-in/sign-in.tsx";
import { Workspace } from "./workspace/workspace.tsx";

function Playground() {
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
    // The sign-in form, which had the focus, is gone: the prompt gets it.
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".draft textarea")?.focus());
  };
  const leave = (why = "") => {
    keptSession.write(undefined);
    // Another key must not get these ids. At the end of a session they stay for the same key's next one.
    if (why === "") keptTaskIds.write(undefined);
    setNotice(why);
    setSession(undefined);
  };
  useSessionEnd(session, () => leave(keyIsOver));

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

/** Calls `onEnd` when the session's time is over. */
function useSessionEnd(session: Session | undefined, onEnd: () => void): void {
  const endsMs = session?.expiresAt ? session.expiresAt * 1_000 : undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `onEnd` does the same at every drawing.
  useEffect(() => {
    if (endsMs === undefined) return;
    const timer = setTimeout(onEnd, Math.max(0, endsMs - nowMs()));
    return () => clearTimeout(timer);
  }, [endsMs]);
}

start(<Playground />);
