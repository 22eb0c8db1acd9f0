/** Gives a tenant credits, or takes some back. */
import { useState } from "preact/hooks";
import { giveCredits, type LedgerEntry } from "#gateway";
import { nowMs, randomHex } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { useTenantAct } from "./acts.ts";
import { numberOf } from "./edits.ts";
import { Form, FormEnd, SelectField, TextField } from "./fields.tsx";
import { said } from "./said.ts";

type CreditType = Extract<LedgerEntry["type"], "topup" | "refund" | "adjustment">;
const types: Record<CreditType, string> = {
  topup: "Top-up: it was paid for",
  refund: "Refund: given back",
  adjustment: "Adjustment: may be negative",
};

function newReference(): string {
  return `credit-${new Date(nowMs()).toISOString().slice(0, 10)}-${randomHex(8)}`;
}

export function TopUp({ id, onClose }: { id: string; onClose: () => void }) {
  const [amount, setAmount] = useState("");
  const [type, setType] = useState<CreditType>("topup");
  // Stays while the dialog is open: however often it is sent, credits are given once.
  const [reference, setReference] = useState(newReference);
  const [note, setNote] = useState("");
  const give = useTenantAct(
    id,
    (entry: Parameters<typeof giveCredits>[1]) => call(giveCredits(id, entry)),
    onClose,
  );
  const send = () =>
    give.mutate({ amount: numberOf(amount) ?? 0, type, reference, ...(note.trim() && { note }) });
  const { at, rest } = said(give.error, ["amount", "type", "reference", "note"]);
  return (
    <Dialog title="Top up" onClose={onClose}>
      <Form error={give.error} send={send}>
        <TextField label="Credits" isNumber value={amount} onEdit={setAmount} error={at("amount")} />
        <SelectField label="Type" options={types} value={type} onChoose={setType} error={at("type")} />
        <TextField
          label="Reference"
          hint="Such as an invoice's number. Sent twice, it counts once."
          value={reference}
          onEdit={setReference}
          error={at("reference")}
        />
        <TextField label="Note" value={note} onEdit={setNote} error={at("note")} />
        <FormEnd action="Give credits" isPending={give.isPending} rest={rest} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}
