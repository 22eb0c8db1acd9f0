/** The rarely used fields. */
import { useEffect, useState } from "preact/hooks";
import { choices } from "#definitions";
import { randomUpTo } from "../../ui/browser.ts";
import { Field } from "../../ui/field.tsx";
import { showNumber } from "../../ui/format.ts";
import { CountedText } from "./counted-text.tsx";
import { type Choice, choiceNames, type Draft, type Edit } from "./draft.ts";
import { type FieldErrors, moreFields } from "./draft-errors.ts";
import { negativePromptCharacters, seed as seedBounds } from "./rules.ts";
import "./more-fields.css";

export interface MoreFieldsProps {
  draft: Draft;
  edit: Edit;
  errors: FieldErrors;
}

export function MoreFields({ draft, edit, errors }: MoreFieldsProps) {
  const isWrong = moreFields.some((name) => errors[name]);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (isWrong) setOpen(true);
  }, [isWrong]);
  return (
    <details class="more" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>More options</summary>
      <CountedText
        label="Negative prompt"
        hint="What should not be in the picture."
        value={draft.negativePrompt}
        most={negativePromptCharacters}
        rows={2}
        error={errors.negative_prompt}
        onInput={(negativePrompt) => edit({ negativePrompt })}
      />
      <SeedField seed={draft.seed} edit={edit} error={errors.seed} />
      {choiceNames
        .filter((name) => draft.references.length > 0 || !choices[name].editingOnly)
        .map((name) => (
          <ChoiceField
            key={name}
            {...choices[name]}
            value={draft.choices[name] ?? "unset"}
            error={errors[name]}
            onChange={(choice) => edit((now) => ({ choices: { ...now.choices, [name]: choice } }))}
          />
        ))}
    </details>
  );
}

function SeedField({ seed, edit, error }: { seed: string; edit: Edit; error: string | undefined }) {
  return (
    <Field
      label="Seed"
      error={error}
      hint={`${seedBounds.least} to ${showNumber(seedBounds.most)}. The same seed and settings make much the same picture again.`}
    >
      {(control) => (
        <div class="with-button">
          <input
            {...control}
            inputMode="numeric"
            autocomplete="off"
            placeholder="Random"
            value={seed}
            onInput={(event) => edit({ seed: event.currentTarget.value })}
          />
          <button type="button" onClick={() => edit({ seed: String(randomUpTo(seedBounds.most)) })}>
            Draw one
          </button>
        </div>
      )}
    </Field>
  );
}

interface ChoiceFieldProps {
  label: string;
  hint?: string;
  value: Choice;
  error: string | undefined;
  onChange: (value: Choice) => void;
}

function ChoiceField({ label, hint, value, error, onChange }: ChoiceFieldProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(control) => (
        <select
          {...control}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value as Choice)}
        >
          <option value="unset">As the model does</option>
          <option value="on">On</option>
          <option value="off">Off</option>
        </select>
      )}
    </Field>
  );
}
