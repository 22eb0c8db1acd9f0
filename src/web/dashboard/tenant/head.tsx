/** The top of a tenant's page: name, warnings, figures, and the buttons to suspend and delete it. */
import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { deleteTenant, type Tenant } from "#gateway";
import { useAction } from "../../ui/action.ts";
import { call } from "../../ui/call.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { showTime } from "../../ui/format.ts";
import { Status } from "../../ui/status.tsx";
import { Confirm } from "../form/confirm.tsx";
import { Figures } from "./figures.tsx";
import { tenantQuery, tenantsQuery, useTenantChange } from "./tenant-actions.ts";
import { warningsOf } from "./warnings.ts";
import "./head.css";

interface Switch {
  verb: string;
  to: Tenant["status"];
  isDanger: boolean;
  /** For the operator, who is asked. */
  effect: string;
}

/** The switch from each status. */
const switches: Record<Tenant["status"], Switch> = {
  active: {
    verb: "Suspend",
    to: "suspended",
    isDanger: true,
    effect:
      "From the next request on, all of its keys and tokens are refused with 403. Tasks under way go on to their end and " +
      "are charged; pictures stay under their URLs. Activating it undoes this.",
  },
  suspended: {
    verb: "Activate",
    to: "active",
    isDanger: false,
    effect: "Its keys and tokens work again from the next request on, as far as they have not expired.",
  },
};

export function Head({ tenant }: { tenant: Tenant }) {
  const [asked, setAsked] = useState<"status" | "delete">();
  const close = () => setAsked(undefined);
  const warnings = warningsOf(tenant);
  return (
    <>
      <header class="section-head">
        <div>
          <h1>{tenant.name}</h1>
          <p class="row soft">
            <Status status={tenant.status} />
            <code>{tenant.id}</code>
            <CopyButton text={tenant.id} label="Copy id" />
            <span>since {showTime(tenant.created)}</span>
          </p>
        </div>
        <div class="row">
          <button type="button" onClick={() => setAsked("status")}>
            {switches[tenant.status].verb}
          </button>
          <button type="button" class="danger" onClick={() => setAsked("delete")}>
            Delete
          </button>
        </div>
      </header>
      <div aria-live="polite">
        {warnings.map(({ short, long, tone }) => (
          <p key={short} class={`warning ${tone}`}>
            {long}
          </p>
        ))}
      </div>
      <Figures tenant={tenant} />
      {asked === "status" && <StatusSwitch tenant={tenant} onClose={close} />}
      {asked === "delete" && <Deletion tenant={tenant} onClose={close} />}
    </>
  );
}

function StatusSwitch({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  // The status at the time of the question: the question must not change while the call is under way.
  const [asked] = useState(tenant.status);
  const { verb, to, isDanger, effect } = switches[asked];
  const change = useTenantChange(tenant.id, onClose);
  return (
    <Confirm
      title={`${verb} ${tenant.name}?`}
      button={`${verb} it`}
      isDanger={isDanger}
      change={{ ...change, mutate: () => change.mutate({ status: to }) }}
      onClose={onClose}
    >
      <p>{effect}</p>
    </Confirm>
  );
}

function Deletion({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const client = useQueryClient();
  const [, goTo] = useLocation();
  const deletion = useAction({
    mutationFn: () => call(deleteTenant(tenant.id)),
    onSuccess: () => {
      goTo("/tenants");
      // The deleted tenant must not be read again.
      client.removeQueries({ queryKey: tenantQuery(tenant.id) });
      return client.invalidateQueries({ queryKey: tenantsQuery });
    },
  });
  return (
    <Confirm
      title={`Delete ${tenant.name}?`}
      button="Delete it for good"
      isDanger
      word={tenant.id}
      change={{ ...deletion, mutate: () => deletion.mutate() }}
      onClose={onClose}
    >
      <p>
        Its keys stop at once. Its prompts, files and pictures are erased within minutes, and their URLs end.
        Its ledger stays; its id is never used again. <strong>This cannot be undone.</strong>
      </p>
    </Confirm>
  );
}
