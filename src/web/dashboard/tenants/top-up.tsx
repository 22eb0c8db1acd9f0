/** Gives a tenant credits, or takes some back. */
import { useEffect, useRef, useState } from "preact/hooks";
import { getTenantLedger, giveCredits, type LedgerEntry, type Tenant } from "#gateway";
import { nowMs, randomHex } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { count, showTime } from "../../ui/format.ts";
import { Notice } from "../../ui/notice.tsx";
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

type Wanted = Parameters<typeof giveCredits>[1];
const mostRead = 100;

/**
 * Gives credits, and says whether they were given before: the reply to a repeated reference is the first one's line of
 * the ledger, which is there already then, or older than what is.
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
  // Stays while the dialog is open: however often it is sent, credits are given once.
  const [reference, setReference] = useState(newReference);
  const [note, setNote] = useState("");
  const [earlier, setEarlier] = useState<LedgerEntry>();
  const act = useTenantAct(
    id,
    (wanted: Wanted) => give(id, wanted),
    ({ entry, isRepeated }) => {
      if (isRepeated) setEarlier(entry);
      else onClose();
    },
  );
  const send = () =>
    act.mutate({ amount: numberOf(amount) ?? 0, type, reference, ...(note.trim() && { note }) });
  const { at, rest } = said(act.error, ["amount", "type", "reference", "note"]);
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
      <Form error={act.error} send={send}>
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
        <FormEnd action="Give credits" isPending={act.isPending} rest={rest} onCancel={onClose} />
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
