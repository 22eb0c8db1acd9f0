/** Replaces a key by a new one, with time to change over. */
import { useState } from "preact/hooks";
import { type Key, rotateKey } from "#gateway";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { useTenantAct } from "./acts.ts";
import { numberOf } from "./edits.ts";
import { Form, FormEnd, TextField } from "./fields.tsx";
import { said } from "./said.ts";
import { ShownOnce } from "./shown-once.tsx";

export function RotateKey({ tenant, old, onClose }: { tenant: string; old: Key; onClose: () => void }) {
  const [overlap, setOverlap] = useState("3600");
  const rotate = useTenantAct(tenant, (seconds: number) =>
    call(rotateKey(tenant, old.id, { overlap_seconds: seconds })),
  );
  const { at, rest } = said(rotate.error, ["overlap_seconds"]);
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
            hint="0: the old key stops at once. At most 30 days."
            value={overlap}
            onEdit={setOverlap}
            error={at("overlap_seconds")}
          />
          <FormEnd action="Make the new key" isPending={rotate.isPending} rest={rest} onCancel={onClose} />
        </Form>
      )}
    </Dialog>
  );
}
