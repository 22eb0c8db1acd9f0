/** The size, as shapes in their true proportion. */
import { modelCatalog } from "#definitions";
import { Field } from "../../ui/field.tsx";
import { showNumber } from "../../ui/format.ts";
import type { Draft, Edit, Model, Preset } from "./draft.ts";
import type { FieldErrors } from "./draft-errors.ts";
import { Group } from "./group.tsx";
import { side } from "./rules.ts";
import "./choice.css";
import "./size-field.css";

interface Shape {
  value: Draft["size"];
  name: string;
  ratio: string;
  /** Width and height of the drawing, in a box of 24 × 24. */
  width: number;
  height: number;
}

// A preset promises a proportion; its pixels are the model's choice.
const presets: Record<Preset, Omit<Shape, "value">> = {
  square: { name: "Square", ratio: "1:1", width: 14, height: 14 },
  square_hd: { name: "Square", ratio: "1:1 HD", width: 20, height: 20 },
  portrait_4_3: { name: "Portrait", ratio: "3:4", width: 15, height: 20 },
  portrait_16_9: { name: "Portrait", ratio: "9:16", width: 11.25, height: 20 },
  landscape_4_3: { name: "Landscape", ratio: "4:3", width: 20, height: 15 },
  landscape_16_9: { name: "Landscape", ratio: "16:9", width: 20, height: 11.25 },
};
const shapes: Shape[] = [
  { value: "unset", name: "Auto", ratio: "any", width: 16, height: 16 },
  ...Object.entries(presets).map(([value, shape]) => ({ value: value as Preset, ...shape })),
];

/** The model's sizes as far as they are known. Its makers do not publish them, so the form does not enforce them. */
function customHint(model: Model, isEdit: boolean): string {
  const { generated, edited, mostRatio } = modelCatalog[model].sizes;
  const { least, most } = isEdit ? edited : generated;
  const square = (pixels: number) => `${Math.sqrt(pixels)} × ${Math.sqrt(pixels)}`;
  return (
    `The model takes sizes of ${square(least)} to about ${square(most)} pixels in all, ` +
    `and no side longer than ${mostRatio} times the other. Outside of that it may refuse.`
  );
}

export interface SizeFieldProps {
  draft: Draft;
  model: Model;
  edit: Edit;
  errors: FieldErrors;
}

export function SizeField({ draft, model, edit, errors }: SizeFieldProps) {
  const all = [...shapes, customShape(draft)];
  const hint = draft.size === "custom" && customHint(model, draft.references.length > 0);
  return (
    <Group label="Size" error={errors.size} hint={hint}>
      <div class="shapes">
        {all.map((shape) => (
          <label key={shape.value} class="choice shape">
            <input
              type="radio"
              name="size"
              checked={draft.size === shape.value}
              onChange={() => edit({ size: shape.value })}
            />
            <svg viewBox="0 0 24 24" aria-hidden="true" class={shape.value === "unset" ? "open" : ""}>
              <rect
                x={12 - shape.width / 2}
                y={12 - shape.height / 2}
                width={shape.width}
                height={shape.height}
                rx="1.5"
              />
            </svg>
            <span>{shape.name}</span>
            <small>{shape.ratio}</small>
          </label>
        ))}
      </div>
      {draft.size === "custom" && (
        <div class="sides">
          <Side
            label="Width"
            value={draft.width}
            error={errors["size.width"]}
            isRefused={"size" in errors}
            onInput={(width) => edit({ width })}
          />
          <span aria-hidden="true">×</span>
          <Side
            label="Height"
            value={draft.height}
            error={errors["size.height"]}
            isRefused={"size" in errors}
            onInput={(height) => edit({ height })}
          />
        </div>
      )}
    </Group>
  );
}

function customShape({ width, height }: Draft): Shape {
  const [w, h] = [Number(width), Number(height)];
  const most = Math.max(w, h);
  const known = w > 0 && h > 0;
  const side = (length: number) => (known ? Math.max(2, (20 * length) / most) : 16);
  return { value: "custom", name: "Custom", ratio: "pixels", width: side(w), height: side(h) };
}

interface SideProps {
  label: string;
  value: string;
  error: string | undefined;
  /** The size as a whole is refused. */
  isRefused: boolean;
  onInput: (value: string) => void;
}

function Side({ label, value, error, isRefused, onInput }: SideProps) {
  return (
    <Field label={label} error={error} hint={`${side.least} to ${showNumber(side.most)} px`}>
      {(control) => (
        <input
          {...control}
          aria-invalid={isRefused || control["aria-invalid"]}
          inputMode="numeric"
          autocomplete="off"
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}
