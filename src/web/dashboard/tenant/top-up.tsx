/** Gives a tenant credits, or takes some back. */
import { useEffect, useRef, useState } from "preact/hooks";
import { getTenantLedger, giveCredits, type LedgerEntry, type Tenant } from "#gateway";
import { nowMs, randomHex } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { count, showTime } from "../../ui/format.ts";
import { Notice } from "../../ui/notice.tsx";
import { numberOf } from "../form/edits.ts";
import { fieldErrors } from "../form/field-errors.ts";
import { SelectField, TextField } from "../form/fields.tsx";
import { Form, FormEnd } from "../form/form.tsx";
import { useTenantAction } from "./tenant-actions.ts";

type CreditType = Extract<LedgerEntry["type"], "topup" | "refund" | "adjustment">;
const types: Record<CreditType, string> = {
  topup: "Top-up: it was paid for",
  refund: "Refund: given back",
  adjustment: "Adjustment: may be negative",
};

function newReference(): string {
  return `credit-${new Date(nowMs()).toISOString().slice(0, 10)}-${randomHex(8)}`;
}

type Wanted = Parameters<typeof giveCredits>[1];
const mostRead = 100;

/**
 * Gives credits, and finds out whether they were given before. The reply to a repeated reference is the ledger's entry
 * of the first one, which the ledger read before the call holds, or which is older than the entries that were read.
 */
async function give(id: string, wanted: Wanted) {
  const { data: before } = await call(getTenantLedger(id, { limit: mostRead }));
  const entry = await call(giveCredits(id, wanted));
  const isThere = before.some(({ reference }) => reference === entry.reference);
  const isOlder = before.length === mostRead && entry.at < (before[0]?.at ?? 0);
  return { entry, isRepeated: isThere || isOlder };
}

export function TopUp({ tenant: { id, balance }, onClose }: { tenant: Tenant; onClose: () => void }) {
  const [amount, setAmount] = useState("");
  const [type, setType] = useState<CreditType>("topup");
  // The reference stays while the dialog is open, so that repeated sends give credits once.
  const [reference, setReference] = useState(newReference);
  const [note, setNote] = useState("");
  const [earlier, setEarlier] = useState<LedgerEntry>();
  const giving = useTenantAction(
    id,
    (wanted: Wanted) => give(id, wanted),
    ({ entry, isRepeated }) => {
      if (isRepeated) setEarlier(entry);
      else onClose();
    },
  );
  const send = () =>
    giving.mutate({ amount: numberOf(amount) ?? 0, type, reference, ...(note.trim() && { note }) });
  const { at, rest } = fieldErrors(giving.error, ["amount", "type", "reference", "note"]);
  const title = balance === null ? "Enter a payment" : "Top up";
  if (earlier !== undefined) {
    return (
      <Dialog title={title} onClose={onClose}>
        <AlreadyCounted entry={earlier} onClose={onClose} />
      </Dialog>
    );
  }
  return (
    <Dialog title={title} onClose={onClose}>
      {balance === null && (
        <p>It is metered, and works without. What is entered here is set against what it used.</p>
      )}
      <Form error={giving.error} send={send}>
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
        <FormEnd button="Give credits" isPending={giving.isPending} rest={rest} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}

function AlreadyCounted({ entry, onClose }: { entry: LedgerEntry; onClose: () => void }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.focus(), []);
  return (
    <>
      <Notice kind="info">
        <strong>Already counted.</strong> {count(entry.amount, "credit")} with the reference{" "}
        <code>{entry.reference}</code> are in the ledger since {showTime(entry.at)}. Nothing was given now.
      </Notice>
      <button ref={button} type="button" class="primary" onClick={onClose}>
        Done
      </button>
    </>
  );
}
