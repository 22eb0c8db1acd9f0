/** Several controls that are one field, with its hint and error. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface GroupProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  class?: string;
  children: ComponentChildren;
}

export function Group({ label, hint, error, class: name, children }: GroupProps) {
  const id = useId();
  const describedBy = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
  return (
    <fieldset class={name} aria-describedby={describedBy} data-invalid={Boolean(error)}>
      <legend>{label}</legend>
      {children}
      {error && (
        <p class="field-error" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </fieldset>
  );
}
