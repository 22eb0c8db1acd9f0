/** The rarely used fields. */
import { useEffect, useState } from "preact/hooks";
import { randomUpTo } from "../../ui/browser.ts";
import { Field } from "../../ui/field.tsx";
import { showNumber } from "../../ui/format.ts";
import { CountedText } from "./counted-text.tsx";
import { type Choice, type Draft, type Edit, maxSeed } from "./draft.ts";
import type { FieldErrors } from "./field-errors.ts";
import { longestNegativePrompt } from "./rules.ts";
import "./more-fields.css";

export interface MoreFieldsProps {
  draft: Draft;
  edit: Edit;
  errors: FieldErrors;
}

export function MoreFields({ draft, edit, errors }: MoreFieldsProps) {
  const own = ["negative_prompt", "seed", "enable_safety_checker", "enable_prompt_expansion"];
  const isWrong = own.some((name) => errors[name]);
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
        most={longestNegativePrompt}
        rows={2}
        error={errors.negative_prompt}
        onInput={(negativePrompt) => edit({ negativePrompt })}
      />
      <SeedField seed={draft.seed} edit={edit} error={errors.seed} />
      <ChoiceField
        label="Safety checker"
        value={draft.safety}
        error={errors.enable_safety_checker}
        onChange={(safety) => edit({ safety })}
      />
      {draft.references.length > 0 && (
        <ChoiceField
          label="Prompt expansion"
          hint="Lets the model write the prompt out before it edits."
          value={draft.expansion}
          error={errors.enable_prompt_expansion}
          onChange={(expansion) => edit({ expansion })}
        />
      )}
    </details>
  );
}

function SeedField({ seed, edit, error }: { seed: string; edit: Edit; error: string | undefined }) {
  return (
    <Field
      label="Seed"
      error={error}
      hint={`0 to ${showNumber(maxSeed)}. The same seed and settings make much the same picture again.`}
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
          <button type="button" onClick={() => edit({ seed: String(randomUpTo(maxSeed)) })}>
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
