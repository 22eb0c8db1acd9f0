/** The controls that a tenant's forms are made of. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { Field } from "../../ui/field.tsx";

interface TextFieldProps {
  label: ComponentChildren;
  value: string;
  onEdit: (text: string) => void;
  hint?: ComponentChildren;
  error?: string | undefined;
  type?: "text" | "url" | "password" | "datetime-local";
  isNumber?: boolean;
  placeholder?: string | undefined;
}

/** What is wrong is told by the gateway alone, so nothing is refused here. */
export function TextField(props: TextFieldProps) {
  const { label, value, onEdit, hint, error, type = "text", isNumber = false, placeholder } = props;
  return (
    <Field label={label} hint={hint} error={error}>
      {(control) => (
        <input
          {...control}
          type={type}
          inputMode={isNumber ? "numeric" : undefined}
          autocomplete="off"
          spellcheck={false}
          placeholder={placeholder}
          value={value}
          onInput={(event) => onEdit(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface CheckListProps<Name extends string> {
  legend: string;
  names: readonly Name[];
  chosen: readonly Name[];
  onChoose: (chosen: Name[]) => void;
  hint?: string;
  error?: string | undefined;
}

export function CheckList<Name extends string>(props: CheckListProps<Name>) {
  const { legend, names, chosen, onChoose, hint, error } = props;
  const id = useId();
  return (
    <fieldset aria-describedby={error || hint ? id : undefined}>
      <legend>{legend}</legend>
      <div class="checks">
        {names.map((name) => (
          <label key={name}>
            <input
              type="checkbox"
              checked={chosen.includes(name)}
              onChange={(event) => {
                const isOn = event.currentTarget.checked;
                onChoose(names.filter((other) => (other === name ? isOn : chosen.includes(other))));
              }}
            />
            {name}
          </label>
        ))}
      </div>
      <div id={id}>
        {error && (
          <p class="field-error" role="alert">
            {error}
          </p>
        )}
        {hint && <p class="hint">{hint}</p>}
      </div>
    </fieldset>
  );
}

/**
 * What a person has changed, over what the server has: a field that nobody touched follows the server.
 * @param server The fields' texts as the server has them.
 */
export function useEdits<Name extends string>(server: Record<Name, string>) {
  const [edits, setEdits] = useState<Partial<Record<Name, string>>>({});
  const value = (name: Name): string => edits[name] ?? server[name];
  return {
    value,
    edit: (name: Name, text: string) => setEdits((before) => ({ ...before, [name]: text })),
    changed: (Object.keys(server) as Name[]).filter((name) => value(name) !== server[name]),
    forget: () => setEdits({}),
  };
}

/** A whole number as the API takes it; empty: null. What is no number goes as it is, for the gateway to refuse. */
export function numberOf(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  return /^[+-]?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : (trimmed as unknown as number);
}

export const textOf = (value: number | null | undefined): string => (value == null ? "" : String(value));
