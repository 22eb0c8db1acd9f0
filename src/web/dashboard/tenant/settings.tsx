/** A tenant's name, prices, models, retention, number of keys and Turnstile secret. */
import { useState } from "preact/hooks";
import type { Tenant } from "#gateway";
import { Notice, Problem } from "../../ui/notice.tsx";
import { numberOf, textOf, useEdits } from "../form/edits.ts";
import { fieldErrors } from "../form/field-errors.ts";
import { CheckList, TextField } from "../form/fields.tsx";
import { Form } from "../form/form.tsx";
import { type Model, models } from "../form/models.ts";
import { Panel } from "../panel.tsx";
import { type TenantChange, useTenantChange } from "./tenant-actions.ts";

const fieldNames = [
  "name",
  ...models.map((model) => `prices.${model}`),
  "models",
  "retention_days",
  "low_balance",
  "max_keys",
  "turnstile_secret",
] as const;

const priceTexts = ({ prices }: Tenant) =>
  Object.fromEntries(models.map((model) => [model, textOf(prices[model])])) as Record<Model, string>;

const serverTexts = (tenant: Tenant) => ({
  ...priceTexts(tenant),
  name: tenant.name,
  low_balance: textOf(tenant.low_balance),
  max_keys: textOf(tenant.max_keys),
  retention_days: textOf(tenant.retention_days),
  turnstile_secret: "",
});
type Texts = ReturnType<typeof serverTexts>;

/** The request: only changed fields are sent. */
function changeOf(changed: (keyof Texts)[], value: (name: keyof Texts) => string): TenantChange {
  const change: TenantChange = {};
  if (changed.includes("name")) change.name = value("name");
  if (changed.includes("low_balance")) change.low_balance = numberOf(value("low_balance"));
  // The gateway says what is wrong with none.
  if (changed.includes("max_keys")) change.max_keys = numberOf(value("max_keys")) as number;
  if (changed.includes("retention_days")) change.retention_days = numberOf(value("retention_days"));
  if (changed.includes("turnstile_secret")) change.turnstile_secret = value("turnstile_secret").trim();
  if (models.some((model) => changed.includes(model))) {
    const given = models.filter((model) => value(model).trim() !== "");
    change.prices = Object.fromEntries(given.map((model) => [model, numberOf(value(model))]));
  }
  return change;
}

export function Settings({ tenant }: { tenant: Tenant }) {
  const { value, edit, changed, reset } = useEdits(serverTexts(tenant));
  const allowed = tenant.models ?? models;
  const [chosen, setChosen] = useState<readonly (typeof models)[number][]>();
  const isModelChange = chosen !== undefined && chosen.join() !== allowed.join();
  const save = useTenantChange(tenant.id, () => {
    reset();
    setChosen(undefined);
  });
  const { at, rest } = fieldErrors(save.error, fieldNames);
  const isChanged = changed.length > 0 || isModelChange;
  const text = (name: keyof Texts) => ({ value: value(name), onEdit: (to: string) => edit(name, to) });
  return (
    <Panel title="Settings">
      <Form
        error={save.error}
        send={() => {
          const change = changeOf(changed, value);
          if (isModelChange) change.models = chosen.length === models.length ? null : [...chosen];
          save.mutate(change);
        }}
      >
        <TextFields text={text} at={at} />
        <CheckList
          legend="Models allowed"
          names={models}
          chosen={chosen ?? allowed}
          onChoose={setChosen}
          error={at("models")}
        />
        <TextField
          label="Turnstile secret"
          type="password"
          placeholder={tenant.turnstile ? "One is set" : "None is set"}
          hint="Of the widget whose answers browser keys make tokens for. It is never shown."
          {...text("turnstile_secret")}
          error={at("turnstile_secret")}
        />
        <Problem error={rest} />
        {save.isSuccess && !isChanged && <Notice kind="done">Saved.</Notice>}
        <div class="row">
          <button type="submit" class="primary" disabled={!isChanged || save.isPending}>
            Save settings
          </button>
          {tenant.turnstile && (
            <button type="button" class="quiet" onClick={() => save.mutate({ turnstile_secret: null })}>
              Remove the Turnstile secret
            </button>
          )}
        </div>
      </Form>
    </Panel>
  );
}

interface TextFieldsProps {
  text: (name: keyof Texts) => { value: string; onEdit: (text: string) => void };
  at: (field: string) => string | undefined;
}

function TextFields({ text, at }: TextFieldsProps) {
  return (
    <>
      <TextField label="Name" {...text("name")} error={at("name")} />
      <div class="fields">
        {models.map((model) => (
          <TextField
            key={model}
            label={`Credits for ${model}`}
            isNumber
            placeholder="The gateway's price"
            {...text(model)}
            error={at(`prices.${model}`)}
          />
        ))}
        <TextField
          label="Low balance"
          isNumber
          placeholder="No warning"
          hint="The tenant is notified when less is available."
          {...text("low_balance")}
          error={at("low_balance")}
        />
        <TextField
          label="Days kept"
          isNumber
          placeholder="For good"
          hint="Then prompts and pictures are erased."
          {...text("retention_days")}
          error={at("retention_days")}
        />
        <TextField
          label="Keys at a time"
          isNumber
          hint="That are alive: 1,000 at the most."
          {...text("max_keys")}
          error={at("max_keys")}
        />
      </div>
    </>
  );
}
