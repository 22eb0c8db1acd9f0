/** A modal question. The browser's own <dialog> keeps the keyboard inside, closes on Escape and gives focus back. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import "./dialog.css";

export interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** A dialog is drawn while it is open; `onClose` removes it. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      // A dialog that is removed while open would lose the focus instead of giving it back.
      close.current = () => {};
      shown?.close();
    };
  }, []);
  return (
    // Escape says `cancel` with the key, and `close` only a task later: by then the next key may have opened it again.
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onCancel={() => close.current()}
      onClose={() => close.current()}
    >
      <header>
        <h2 id={titleId}>{title}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={() => close.current()}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}
