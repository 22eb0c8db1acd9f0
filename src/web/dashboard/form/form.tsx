/** A form of the dashboard, and the end that forms in dialogs have. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Problem } from "../../ui/notice.tsx";
import "./form.css";

interface FormProps {
  send: () => void;
  /** The refusal of what was sent. */
  error: unknown;
  children: ComponentChildren;
}

/** A form. A refusal puts the focus on the first wrong field, which may be out of sight. */
export function Form({ send, error, children }: FormProps) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (error) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [error]);
  return (
    <form
      ref={form}
      // The gateway alone judges the fields, in its own words.
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {children}
    </form>
  );
}

interface FormEndProps {
  /** The button's text. */
  button: string;
  isPending: boolean;
  /** The part of a refusal that belongs to no field. */
  rest: unknown;
  onCancel: () => void;
}

/** The end of a dialog's form. */
export function FormEnd({ button, isPending, rest, onCancel }: FormEndProps) {
  return (
    <>
      <Problem error={rest} />
      <footer class="row">
        <button type="submit" class="primary" disabled={isPending}>
          {button}
        </button>
        <button type="button" class="quiet" onClick={onCancel}>
          Cancel
        </button>
      </footer>
    </>
  );
}
