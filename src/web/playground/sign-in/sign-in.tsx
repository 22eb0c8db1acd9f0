/** Sign-in: a field for a key, and the ways to get one. */
import { useState } from "preact/hooks";
import { useGate } from "../../ui/action.ts";
import { Refusal } from "../../ui/call.ts";
import { Field } from "../../ui/field.tsx";
import { Notice, Problem } from "../../ui/notice.tsx";
import { openSession, type Session } from "../session.ts";
import "./sign-in.css";

export interface SignInProps {
  /** Why the last session ended; empty: none has ended by itself. */
  notice: string;
  onOpen: (session: Session) => void;
}

export function SignIn({ notice, onOpen }: SignInProps) {
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>();
  const [isAsking, setAsking] = useState(false);
  const gate = useGate();
  const open = async (event: Event) => {
    event.preventDefault();
    if (!gate.enter()) return;
    setAsking(true);
    setError(undefined);
    try {
      onOpen(await openSession(key));
    } catch (thrown) {
      setError(thrown);
      setAsking(false);
      gate.open();
    }
  };
  const refused =
    error instanceof Refusal && error.status > 0 && error.status < 500 ? error.message : undefined;
  return (
    <main class="welcome">
      <img class="welcome-mark" src="/assets/icon.svg" alt="" />
      <h1>Make a picture</h1>
      <p class="soft lead">Describe it, watch it being made, keep it. All it takes is a key.</p>
      <form class="panel" onSubmit={open}>
        {notice && <Notice kind="info">{notice}</Notice>}
        {!refused && <Problem error={error} />}
        <Field
          label="Your key"
          error={refused}
          hint="A secret key is used once, to make a token that is good for an hour on this page. The key itself is kept nowhere."
        >
          {(control) => (
            <input
              {...control}
              type="password"
              autocomplete="off"
              spellcheck={false}
              placeholder="wsk_…"
              required
              value={key}
              onInput={(event) => setKey(event.currentTarget.value)}
            />
          )}
        </Field>
        <button type="submit" class="primary wide" disabled={isAsking || key.trim() === ""}>
          {isAsking ? "Checking…" : "Start"}
        </button>
      </form>
      <section class="where" aria-labelledby="where">
        <h2 id="where">Where do I get a key?</h2>
        <ul>
          <li>
            On your own machine, <code>npm run dev</code> prints one.
          </li>
          <li>
            Of a gateway that is in use, its operator makes one in the <a href="/admin">dashboard</a>.
          </li>
          <li>
            A browser key (<code>wbk_…</code>) or a client token (<code>wct_…</code>) works as well.
          </li>
        </ul>
      </section>
    </main>
  );
}
