/** Copies a text, and says so. */
import { useState } from "preact/hooks";

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [said, setSaid] = useState("");
  const copy = () => {
    // A page that came over plain http from another machine has no clipboard.
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
    copied.then(
      () => setSaid("Copied"),
      () => setSaid("Select and copy it by hand: this browser does not let the page do it"),
    );
  };
  return (
    <button type="button" class="quiet" onClick={copy} onBlur={() => setSaid("")}>
      <span aria-live="polite">{said || label}</span>
    </button>
  );
}
