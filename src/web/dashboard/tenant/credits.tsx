/** A tenant's credits: balance, top-up, and the switch between prepaid and metered. */
import { useState } from "preact/hooks";
import type { Tenant } from "#gateway";
import { showNumber } from "../../ui/format.ts";
import { Confirm } from "../form/confirm.tsx";
import { numberOf } from "../form/edits.ts";
import { TextField } from "../form/fields.tsx";
import { Panel } from "../panel.tsx";
import { useTenantChange } from "./tenant-actions.ts";
import { TopUp } from "./top-up.tsx";
import "./credits.css";

export function Credits({ tenant }: { tenant: Tenant }) {
  const [asked, setAsked] = useState<"top-up" | "prepaid" | "metered">();
  const close = () => setAsked(undefined);
  const { balance, held, available } = tenant;
  return (
    <Panel title="Credits">
      {balance === null || available === null ? (
        <p>
          Metered, not prepaid: what it makes is counted, and nothing is refused for want of credits. Its
          ledger's balance is what it was given less what it used; below zero, that much is used and not paid
          for. {showNumber(held)} are held for tasks under way.
        </p>
      ) : (
        <dl class="sum">
          <dt>Balance</dt>
          <dd>{showNumber(balance)}</dd>
          <dt>Held for tasks under way</dt>
          <dd>− {showNumber(held)}</dd>
          <dt>Available</dt>
          <dd>{showNumber(available)}</dd>
        </dl>
      )}
      <div class="row">
        <button type="button" class="primary" onClick={() => setAsked("top-up")}>
          {balance === null ? "Enter a payment" : "Top up"}
        </button>
        <button
          type="button"
          class="quiet"
          onClick={() => setAsked(balance === null ? "prepaid" : "metered")}
        >
          {balance === null ? "Make it prepaid" : "Meter it only"}
        </button>
      </div>
      {asked === "top-up" && <TopUp tenant={tenant} onClose={close} />}
      {asked === "prepaid" && <Prepaid id={tenant.id} onClose={close} />}
      {asked === "metered" && <Metered id={tenant.id} onClose={close} />}
    </Panel>
  );
}

interface ChangeProps {
  id: string;
  onClose: () => void;
}

function Prepaid({ id, onClose }: ChangeProps) {
  const [balance, setBalance] = useState("0");
  const change = useTenantChange(id, onClose);
  // Null would leave the tenant metered, so an empty field is 0.
  const confirmed = { ...change, mutate: () => change.mutate({ balance: numberOf(balance) ?? 0 }) };
  return (
    <Confirm title="Make it prepaid?" button="Make it prepaid" change={confirmed} onClose={onClose}>
      <p>From the next request on, a task is refused with 402 when its credits are not available.</p>
      <TextField label="Balance to begin with" isNumber value={balance} onEdit={setBalance} />
    </Confirm>
  );
}

function Metered({ id, onClose }: ChangeProps) {
  const change = useTenantChange(id, onClose);
  const confirmed = { ...change, mutate: () => change.mutate({ balance: null }) };
  return (
    <Confirm title="Meter it only?" button="Meter it only" isDanger change={confirmed} onClose={onClose}>
      <p>
        From the next request on, nothing is refused for want of credits: only its limits hold it back. What
        it makes is still charged in its ledger.
      </p>
    </Confirm>
  );
}
