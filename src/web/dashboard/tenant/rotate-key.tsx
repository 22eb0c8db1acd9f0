/** Replaces a key by a new one; both work during the overlap. */
import { useState } from "preact/hooks";
import { maxOverlapDays } from "#definitions";
import { type Key, rotateKey } from "#gateway";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { numberOf } from "../form/edits.ts";
import { fieldErrors } from "../form/field-errors.ts";
import { TextField } from "../form/fields.tsx";
import { Form, FormEnd } from "../form/form.tsx";
import { ShownOnce } from "../form/shown-once.tsx";
import { useTenantAction } from "./tenant-actions.ts";

export function RotateKey({ tenant, old, onClose }: { tenant: string; old: Key; onClose: () => void }) {
  const [overlap, setOverlap] = useState("3600");
  const rotate = useTenantAction(tenant, (seconds: number) =>
    call(rotateKey(tenant, old.id, { overlap_seconds: seconds })),
  );
  const { at, rest } = fieldErrors(rotate.error, ["overlap_seconds"]);
  return (
    <Dialog title={`Rotate ${old.name}`} onClose={onClose}>
      {rotate.data ? (
        <>
          <ShownOnce label="New key" secret={rotate.data.key}>
            The new key works now, and may what the old one may.
          </ShownOnce>
          <button type="button" class="primary" onClick={onClose}>
            Done
          </button>
        </>
      ) : (
        <Form error={rotate.error} send={() => rotate.mutate(numberOf(overlap) ?? 0)}>
          <p>
            A new key is made with the same rights. The old one goes on working for the overlap, then stops.
          </p>
          <TextField
            label="Overlap in seconds"
            isNumber
            hint={`0: the old key stops at once. At most ${maxOverlapDays} days.`}
            value={overlap}
            onEdit={setOverlap}
            error={at("overlap_seconds")}
          />
          <FormEnd button="Make the new key" isPending={rotate.isPending} rest={rest} onCancel={onClose} />
        </Form>
      )}
    </Dialog>
  );
}
