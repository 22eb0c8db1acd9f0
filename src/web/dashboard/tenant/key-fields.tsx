/** The fields of a new key. */
import { keyScopes } from "#definitions";
import type { createKey, Key } from "#gateway";
import { Field } from "../../ui/field.tsx";
import { numberOf } from "../form/edits.ts";
import { CheckList, TextField } from "../form/fields.tsx";
import { LimitFields, limitFieldNames, limitNames, limitsOf, noLimitTexts } from "../form/limit-fields.tsx";
import { models } from "../form/models.ts";

export const kinds = {
  secret: "Secret: for a server",
  browser: "Browser: for a page, so for everybody who opens it",
} satisfies Record<Key["kind"], string>;

/** The rarely used fields, by the names that the gateway uses in a refusal. */
export const moreFieldNames = [
  ...limitFieldNames,
  "token.ttl_seconds",
  "token.max_images",
  "expires_at",
  "models",
];
export const keyFieldNames = ["name", "kind", "scopes", "allowed_origins", ...moreFieldNames];

export const noTexts = {
  ...noLimitTexts,
  name: "",
  origins: "",
  expires: "",
  ttl_seconds: "",
  max_images: "",
};
type Value = (name: keyof typeof noTexts) => string;

export interface Choices {
  kind: Key["kind"];
  scopes: Key["scopes"];
  models: NonNullable<Key["models"]>;
}

export const usualChoices: Choices = { kind: "secret", scopes: [...keyScopes], models: [...models] };

export type WantedKey = Parameters<typeof createKey>[1];

/** The request for the key. Empty fields are left out, for the gateway's defaults. */
export function keyOf(value: Value, { kind, scopes, models: chosen }: Choices): WantedKey {
  const limits = limitNames.filter((name) => value(name).trim() !== "");
  const token = (["ttl_seconds", "max_images"] as const).filter((name) => value(name).trim() !== "");
  const origins = value("origins").split(/\s+/).filter(Boolean);
  return {
    name: value("name"),
    kind,
    ...(kind === "secret" && { scopes }),
    ...(kind === "browser" && origins.length > 0 && { allowed_origins: origins }),
    ...(kind === "browser" &&
      token.length > 0 && { token: Object.fromEntries(token.map((name) => [name, numberOf(value(name))])) }),
    ...(chosen.length < models.length && { models: chosen }),
    ...(limits.length > 0 && { limits: limitsOf(limits, value) }),
    // The field is in the operator's time zone, by which Date reads it.
    ...(value("expires") && { expires_at: Math.floor(new Date(value("expires")).getTime() / 1000) }),
  };
}

interface KeyFieldsProps {
  value: Value;
  edit: (name: keyof typeof noTexts, text: string) => void;
  at: (field: string) => string | undefined;
  choices: Choices;
  setChoices: (choices: Choices) => void;
}

/** The scopes of a secret key, or the origins of a browser key. */
export function Rights({ value, edit, at, choices, setChoices }: KeyFieldsProps) {
  return choices.kind === "secret" ? (
    <CheckList
      legend="Scopes"
      names={keyScopes}
      chosen={choices.scopes}
      onChoose={(chosen) => setChoices({ ...choices, scopes: chosen })}
      hint="images: makes and reads pictures. manage: its own keys, webhook, ledger and usage."
      error={at("scopes")}
    />
  ) : (
    <Field
      label="Allowed origins"
      hint="One a line, such as https://shop.example, https://*.shop.example or http://localhost:*"
      error={at("allowed_origins")}
    >
      {(control) => (
        <textarea
          {...control}
          spellcheck={false}
          value={value("origins")}
          onInput={(event) => edit("origins", event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** The rarely used fields. */
export function More({ value, edit, at, choices, setChoices }: KeyFieldsProps) {
  return (
    <>
      <CheckList
        legend="Models"
        names={models}
        chosen={choices.models}
        onChoose={(chosen) => setChoices({ ...choices, models: chosen })}
        error={at("models")}
      />
      <LimitFields
        value={value}
        edit={edit}
        errorAt={at}
        empty={choices.kind === "secret" ? "The tenant's" : "The default"}
      />
      {choices.kind === "browser" && (
        <div class="fields">
          <TextField
            label="Life of its tokens, seconds"
            isNumber
            placeholder="600"
            value={value("ttl_seconds")}
            onEdit={(text) => edit("ttl_seconds", text)}
            error={at("token.ttl_seconds")}
          />
          <TextField
            label="Images of a token"
            isNumber
            placeholder="10"
            value={value("max_images")}
            onEdit={(text) => edit("max_images", text)}
            error={at("token.max_images")}
          />
        </div>
      )}
      <TextField
        label="Expires"
        type="datetime-local"
        hint="In your own time zone. Empty: never."
        value={value("expires")}
        onEdit={(text) => edit("expires", text)}
        error={at("expires_at")}
      />
    </>
  );
}
