/** Makes a key, and shows it this once. */
import { useState } from "preact/hooks";
import { createKey } from "#gateway";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { useTenantAct } from "./acts.ts";
import { useEdits } from "./edits.ts";
import { Form, FormEnd, SelectField, TextField } from "./fields.tsx";
import {
  keyFieldNames,
  keyOf,
  kinds,
  More,
  moreFieldNames,
  noTexts,
  Rights,
  usualChoices,
  type WantedKey,
} from "./key-fields.tsx";
import { said } from "./said.ts";
import { ShownOnce } from "./shown-once.tsx";

export function NewKeyDialog({ tenant, onClose }: { tenant: string; onClose: () => void }) {
  const { value, edit } = useEdits(noTexts);
  const [choices, setChoices] = useState(usualChoices);
  const make = useTenantAct(tenant, (key: WantedKey) => call(createKey(tenant, key)));
  const { at, rest } = said(make.error, keyFieldNames);
  const [isMore, setIsMore] = useState(false);
  const fields = { value, edit, at, choices, setChoices };
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
      <Form error={make.error} send={() => make.mutate(keyOf(value, choices))}>
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
        <Rights {...fields} />
        <details
          open={isMore || moreFieldNames.some(at)}
          onToggle={(event) => setIsMore(event.currentTarget.open)}
        >
          <summary>Models, limits and expiry</summary>
          <More {...fields} />
        </details>
        <FormEnd action="Make the key" isPending={make.isPending} rest={rest} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}
