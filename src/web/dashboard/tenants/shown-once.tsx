/** A secret that the gateway shows this once: it has no copy of it. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Notice } from "../../ui/notice.tsx";

interface ShownOnceProps {
  label: string;
  secret: string;
  children: ComponentChildren;
}

export function ShownOnce({ label, secret, children }: ShownOnceProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  // What was used to make it is gone from the screen, and the keyboard's place with it.
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
        stores only what it needs to check it, and nobody can show it again.
      </p>
    </>
  );
}
