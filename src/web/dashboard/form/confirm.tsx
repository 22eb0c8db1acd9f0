/** Asks before a change that cannot be undone or that takes effect at once, and says what it does. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../../ui/dialog.tsx";
import { Problem } from "../../ui/notice.tsx";
import { TextField } from "./fields.tsx";
import { Form } from "./form.tsx";

interface ConfirmProps {
  title: string;
  /** The button's text. */
  button: string;
  isDanger?: boolean;
  /** A word to be typed before the button works. */
  word?: string;
  change: { mutate: () => void; isPending: boolean; error: unknown };
  onClose: () => void;
  children: ComponentChildren;
}

export function Confirm({ title, button, isDanger = false, word, change, onClose, children }: ConfirmProps) {
  const [typed, setTyped] = useState("");
  return (
    <Dialog title={title} onClose={onClose}>
      <Form error={change.error} send={() => change.mutate()}>
        {children}
        {word !== undefined && <TextField label={`Type ${word} to go on`} value={typed} onEdit={setTyped} />}
        <Problem error={change.error} />
        <footer class="row">
          <button
            type="submit"
            class={isDanger ? "danger" : "primary"}
            disabled={change.isPending || (word !== undefined && typed.trim() !== word)}
          >
            {button}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Leave it
          </button>
        </footer>
      </Form>
    </Dialog>
  );
}
