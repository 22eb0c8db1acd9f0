/** The controls that the dashboard's forms are made of. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Field } from "../../ui/field.tsx";
import "./fields.css";

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

interface SelectFieldProps<Name extends string> {
  label: string;
  /** Each choice with its text. */
  options: Record<Name, string>;
  value: Name;
  onChoose: (name: Name) => void;
  error?: string | undefined;
}

export function SelectField<Name extends string>(props: SelectFieldProps<Name>) {
  const { label, options, value, onChoose, error } = props;
  return (
    <Field label={label} error={error}>
      {(control) => (
        <select {...control} value={value} onChange={(event) => onChoose(event.currentTarget.value as Name)}>
          {Object.entries<string>(options).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
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
