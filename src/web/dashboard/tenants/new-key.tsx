/** Makes a key, and shows it this once. */
import { useState } from "preact/hooks";
import { createKey, type Key } from "#gateway";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { Field } from "../../ui/field.tsx";
import { useTenantAct } from "./acts.ts";
import { numberOf, useEdits } from "./edits.ts";
import { CheckList, Form, FormEnd, SelectField, TextField } from "./fields.tsx";
import { LimitFields, limitFieldNames, limitNames, limitsOf, noLimitTexts } from "./limit-fields.tsx";
import { models } from "./models.ts";
import { said } from "./said.ts";
import { ShownOnce } from "./shown-once.tsx";

const scopes = ["images", "manage"] as const satisfies Key["scopes"];
const kinds = {
  secret: "Secret: for a server",
  browser: "Browser: for a page, so for everybody who opens it",
} satisfies Record<Key["kind"], string>;

const tokenFields = ["token.ttl_seconds", "token.max_images"] as const;
const fieldNames = [
  "name",
  "kind",
  "scopes",
  "allowed_origins",
  "models",
  "expires_at",
  ...limitFieldNames,
  ...tokenFields,
];

const noTexts = { ...noLimitTexts, name: "", origins: "", expires: "", ttl_seconds: "", max_images: "" };
type Value = (name: keyof typeof noTexts) => string;

interface Choices {
  kind: Key["kind"];
  scopes: Key["scopes"];
  models: NonNullable<Key["models"]>;
}

function bodyOf(value: Value, { kind, scopes, models: chosen }: Choices): Parameters<typeof createKey>[1] {
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
    // The field is in the reader's own time zone, as Date takes it.
    ...(value("expires") && { expires_at: Math.floor(new Date(value("expires")).getTime() / 1000) }),
  };
}

export function NewKeyDialog({ tenant, onClose }: { tenant: string; onClose: () => void }) {
  const { value, edit } = useEdits(noTexts);
  const [choices, setChoices] = useState<Choices>({
    kind: "secret",
    scopes: [...scopes],
    models: [...models],
  });
  const make = useTenantAct(tenant, () => call(createKey(tenant, bodyOf(value, choices))));
  const { at, rest } = said(make.error, fieldNames);
  const [isMore, setIsMore] = useState(false);
  const hasWrongInside = [...limitFieldNames, ...tokenFields, "expires_at", "models"].some(at);
  if (make.data) {
    return (
      <Dialog title="The key is made" onClose={onClose}>
        <ShownOnce label={`Key of ${make.data.name}`} secret={make.data.key}>
          It works now.
        </ShownOnce>
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </Dialog>
    );
  }
  return (
    <Dialog title="New key" onClose={onClose}>
      <Form error={make.error} send={() => make.mutate()}>
        <TextField
          label="Name"
          hint="Says who holds it."
          value={value("name")}
          onEdit={(text) => edit("name", text)}
          error={at("name")}
        />
        <SelectField
          label="Kind"
          options={kinds}
          value={choices.kind}
          onChoose={(kind) => setChoices({ ...choices, kind })}
          error={at("kind")}
        />
        {choices.kind === "secret" ? (
          <CheckList
            legend="Scopes"
            names={scopes}
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
        )}
        <details open={isMore || hasWrongInside} onToggle={(event) => setIsMore(event.currentTarget.open)}>
          <summary>Models, limits and expiry</summary>
          <More {...{ value, edit, at, choices, setChoices }} />
        </details>
        <FormEnd action="Make the key" isPending={make.isPending} rest={rest} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}

interface MoreProps {
  value: Value;
  edit: (name: keyof typeof noTexts, text: string) => void;
  at: (field: string) => string | undefined;
  choices: Choices;
  setChoices: (choices: Choices) => void;
}

/** What most keys are made without. */
function More({ value, edit, at, choices, setChoices }: MoreProps) {
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
