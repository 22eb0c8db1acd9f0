/** A text field that shows its length, counted as the gateway counts. */
import { Field } from "../../ui/field.tsx";
import { showNumber } from "../../ui/format.ts";
import { codePoints } from "./draft.ts";
import "./counted-text.css";

export interface CountedTextProps {
  label: string;
  hint?: string;
  placeholder?: string;
  value: string;
  most: number;
  rows: number;
  error: string | undefined;
  onInput: (value: string) => void;
  /** Ctrl or ⌘ with Enter. */
  onSend?: () => void;
}

export function CountedText(props: CountedTextProps) {
  const { label, hint, placeholder, value, most, rows, error, onInput, onSend } = props;
  const length = codePoints(value.trim());
  const counter = (
    <span class={length > most ? "counted over" : "counted"}>
      <span>{hint}</span>
      <span>
        {showNumber(length)} of {showNumber(most)}
      </span>
    </span>
  );
  return (
    <Field label={label} error={error} hint={counter}>
      {(control) => (
        <textarea
          {...control}
          rows={rows}
          placeholder={placeholder}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSend?.();
          }}
        />
      )}
    </Field>
  );
}
