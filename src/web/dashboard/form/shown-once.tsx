/** A secret that the gateway shows once and has no copy of. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Notice } from "../../ui/notice.tsx";
import "./shown-once.css";

interface ShownOnceProps {
  label: string;
  secret: string;
  children: ComponentChildren;
}

export function ShownOnce({ label, secret, children }: ShownOnceProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  // The form that made the secret is gone from the screen, and its focus with it.
  useEffect(() => input.current?.focus(), []);
  return (
    <>
      <Notice kind="done">{children}</Notice>
      <div class="field">
        <label for={id}>{label}</label>
        <div class="secret">
          <input
            ref={input}
            id={id}
            class="mono"
            readOnly
            autocomplete="off"
            spellcheck={false}
            value={secret}
            onFocus={(event) => event.currentTarget.select()}
          />
          <CopyButton text={secret} />
        </div>
      </div>
      <p>
        <strong>It is shown this once.</strong> Copy it now and keep it where secrets are kept: the gateway
        stores only what it needs to check it, and cannot show it again.
      </p>
    </>
  );
}
