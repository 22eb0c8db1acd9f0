/** Asks before something that cannot be taken back, or that others feel at once, and says what will happen. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../../ui/dialog.tsx";
import { Problem } from "../../ui/notice.tsx";
import { Form, TextField } from "./fields.tsx";

interface ConfirmProps {
  title: string;
  /** The button's words. */
  action: string;
  isDanger?: boolean;
  /** Has to be typed first. */
  word?: string;
  act: { mutate: () => void; isPending: boolean; error: unknown };
  onClose: () => void;
  children: ComponentChildren;
}

export function Confirm({ title, action, isDanger = false, word, act, onClose, children }: ConfirmProps) {
  const [typed, setTyped] = useState("");
  return (
    <Dialog title={title} onClose={onClose}>
      <Form error={act.error} send={() => act.mutate()}>
        {children}
        {word !== undefined && <TextField label={`Type ${word} to go on`} value={typed} onEdit={setTyped} />}
        <Problem error={act.error} />
        <footer class="row">
          <button
            type="submit"
            class={isDanger ? "danger" : "primary"}
            disabled={act.isPending || (word !== undefined && typed.trim() !== word)}
          >
            {action}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Leave it
          </button>
        </footer>
      </Form>
    </Dialog>
  );
}
