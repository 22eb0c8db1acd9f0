/** The form's request as code, to be run elsewhere. */
import { useId, useRef, useState } from "preact/hooks";
import { CopyButton } from "../../ui/copy-button.tsx";
import type { Body } from "../form/draft.ts";
import { curlOf, typeScriptOf } from "./snippets.ts";
import "./code.css";

const languages = [
  { name: "curl", write: curlOf },
  { name: "TypeScript", write: typeScriptOf },
] as const;

/** @param body The request; undefined while a field of the form is wrong. */
export function Code({ body }: { body: Body | undefined }) {
  const id = useId();
  const [shown, setShown] = useState(0);
  const tabs = useRef<HTMLDivElement>(null);
  const text = (body && languages[shown]?.write(location.origin, body)) ?? "";
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (shown + step + languages.length) % languages.length;
    setShown(next);
    tabs.current?.querySelectorAll("button")[next]?.focus();
  };
  return (
    <section class="panel code" aria-labelledby={`${id}-title`}>
      <div class="row between">
        <h2 id={`${id}-title`}>The same in code</h2>
        {body && <CopyButton text={text} label="Copy code" key={shown} />}
      </div>
      <div class="tabs" role="tablist" aria-label="Language" ref={tabs}>
        {languages.map(({ name }, index) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-tab-${index}`}
            aria-selected={index === shown}
            aria-controls={`${id}-code`}
            tabIndex={index === shown ? 0 : -1}
            onClick={() => setShown(index)}
            onKeyDown={onKeyDown}
          >
            {name}
          </button>
        ))}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <pre id={`${id}-code`} role="tabpanel" aria-labelledby={`${id}-tab-${shown}`} tabIndex={0}>
        {body ? <code>{text}</code> : "Not ready: mend first what is marked on the form."}
      </pre>
      <p class="hint">
        <code>KEY</code> is a secret key, which belongs on a server of yours.
      </p>
    </section>
  );
}
