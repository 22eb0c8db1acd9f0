/** How many images are asked for: typed, or stepped by buttons. */
import { Field } from "../../ui/field.tsx";
import type { Edit } from "./draft.ts";
import "./number-field.css";

export interface NumberFieldProps {
  n: string;
  maxImages: number;
  edit: Edit;
  error: string | undefined;
}

export function NumberField({ n, maxImages, edit, error }: NumberFieldProps) {
  const step = (by: number) => {
    const wanted = Math.round(Number(n) || 1) + by;
    edit({ n: String(Math.min(maxImages, Math.max(1, wanted))) });
  };
  return (
    <Field label="Number of images" error={error} hint={`1 to ${maxImages} at once`}>
      {(control) => (
        <div class="stepper">
          <button
            type="button"
            aria-label="One image less"
            disabled={Number(n) <= 1}
            onClick={() => step(-1)}
          >
            −
          </button>
          <input
            {...control}
            inputMode="numeric"
            autocomplete="off"
            value={n}
            onInput={(event) => edit({ n: event.currentTarget.value })}
          />
          <button
            type="button"
            aria-label="One image more"
            disabled={Number(n) >= maxImages}
            onClick={() => step(1)}
          >
            +
          </button>
        </div>
      )}
    </Field>
  );
}
