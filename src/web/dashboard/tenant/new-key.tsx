/** Makes a key and shows it once. */
import { useState } from "preact/hooks";
import { createKey } from "#gateway";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { useEdits } from "../form/edits.ts";
import { fieldErrors } from "../form/field-errors.ts";
import { SelectField, TextField } from "../form/fields.tsx";
import { Form, FormEnd } from "../form/form.tsx";
import { ShownOnce } from "../form/shown-once.tsx";
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
import { useTenantAction } from "./tenant-actions.ts";

export function NewKeyDialog({ tenant, onClose }: { tenant: string; onClose: () => void }) {
  const { value, edit } = useEdits(noTexts);
  const [choices, setChoices] = useState(usualChoices);
  const make = useTenantAction(tenant, (key: WantedKey) => call(createKey(tenant, key)));
  const { at, rest } = fieldErrors(make.error, keyFieldNames);
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
        <FormEnd button="Make the key" isPending={make.isPending} rest={rest} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}
