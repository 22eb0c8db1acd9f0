/** The top of a tenant's page: who it is, whether it is well, the figures that matter, and its switch. */
import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { deleteTenant, type Tenant } from "#gateway";
import { useAct } from "../../ui/act.ts";
import { call } from "../../ui/call.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { showTime } from "../../ui/format.ts";
import { Status } from "../../ui/status.tsx";
import { tenantQuery, tenantsQuery, useTenantChange } from "./acts.ts";
import { Confirm } from "./confirm.tsx";
import { Figures } from "./figures.tsx";
import { worriesOf } from "./wellbeing.ts";

export function Head({ tenant }: { tenant: Tenant }) {
  const [asked, setAsked] = useState<"status" | "delete">();
  const close = () => setAsked(undefined);
  const isActive = tenant.status === "active";
  const worries = worriesOf(tenant);
  return (
    <>
      <header class="tenant-head">
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
            {isActive ? "Suspend" : "Activate"}
          </button>
          <button type="button" class="danger" onClick={() => setAsked("delete")}>
            Delete
          </button>
        </div>
      </header>
      <div aria-live="polite">
        {worries.map(({ short, long, tone }) => (
          <p key={short} class={`worry ${tone}`}>
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
  // What the tenant was when it was asked: the question must not turn round while the answer is on its way.
  const [wasActive] = useState(tenant.status === "active");
  const change = useTenantChange(tenant.id, onClose);
  const act = {
    ...change,
    mutate: () => change.mutate({ status: wasActive ? "suspended" : "active" }),
  };
  return wasActive ? (
    <Confirm title={`Suspend ${tenant.name}?`} action="Suspend it" isDanger act={act} onClose={onClose}>
      <p>
        From the next request on, all of its keys and tokens are refused with 403. Tasks under way go on to
        their end and are charged; pictures stay under their URLs. Activating it undoes this.
      </p>
    </Confirm>
  ) : (
    <Confirm title={`Activate ${tenant.name}?`} action="Activate it" act={act} onClose={onClose}>
      <p>Its keys and tokens work again from the next request on, as far as they have not expired.</p>
    </Confirm>
  );
}

function Deletion({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const client = useQueryClient();
  const [, goTo] = useLocation();
  const act = useAct({
    mutationFn: () => call(deleteTenant(tenant.id)),
    onSuccess: () => {
      goTo("/tenants");
      // There is nothing left to read again.
      client.removeQueries({ queryKey: tenantQuery(tenant.id) });
      return client.invalidateQueries({ queryKey: tenantsQuery });
    },
  });
  return (
    <Confirm
      title={`Delete ${tenant.name}?`}
      action="Delete it for good"
      isDanger
      word={tenant.id}
      act={{ ...act, mutate: () => act.mutate() }}
      onClose={onClose}
    >
      <p>
        Its keys stop at once. Its prompts, files and pictures are erased within minutes, and their URLs end.
        Its ledger stays; its id is never used again. <strong>This cannot be undone.</strong>
      </p>
    </Confirm>
  );
}
