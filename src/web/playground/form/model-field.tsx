/** The models that the key may use, with the price of an image. */
import { modelCatalog } from "#definitions";
import { count } from "../../ui/format.ts";
import type { Draft, Edit, Model } from "./draft.ts";
import { Group } from "./group.tsx";
import "./choice.css";
import "./model-field.css";

export interface PricedModel {
  id: Model;
  /** Credits an image; not known before the gateway has answered. */
  price?: number;
}

/** The catalog's models stand there until the key's own come, so that nothing below them moves under a press. */
export const modelsToCome: PricedModel[] = (Object.keys(modelCatalog) as Model[]).map((id) => ({ id }));

export interface ModelFieldProps {
  models: PricedModel[];
  chosen: Draft["model"];
  edit: Edit;
  error: string | undefined;
}

export function ModelField({ models, chosen, edit, error }: ModelFieldProps) {
  return (
    <Group label="Model" error={error}>
      <div class="cards">
        {models.map(({ id, price }) => (
          <label key={id} class="choice card">
            <input
              type="radio"
              name="model"
              checked={chosen === id}
              disabled={price === undefined}
              onChange={() => edit({ model: id })}
            />
            <strong>{id}</strong>
            <span>{modelCatalog[id].label}</span>
            <small>{price === undefined ? "…" : `${count(price, "credit")} an image`}</small>
          </label>
        ))}
      </div>
    </Group>
  );
}
