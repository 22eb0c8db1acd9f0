/** Makes a tenant, shows its webhook's secret once, and goes to its page. */
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { createTenant } from "#gateway";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { numberOf, useEdits } from "../form/edits.ts";
import { fieldErrors } from "../form/field-errors.ts";
import { TextField } from "../form/fields.tsx";
import { Form, FormEnd } from "../form/form.tsx";
import { LimitFields, limitFieldNames, limitNames, limitsOf, noLimitTexts } from "../form/limit-fields.tsx";
import { ShownOnce } from "../form/shown-once.tsx";
import { useTenantAction } from "../tenant/tenant-actions.ts";

const noTexts = { ...noLimitTexts, id: "", name: "", balance: "" };

type WantedTenant = Parameters<typeof createTenant>[0];

function tenantOf(value: (name: keyof typeof noTexts) => string): WantedTenant {
  const limits = limitNames.filter((name) => value(name).trim() !== "");
  return {
    name: value("name"),
    balance: numberOf(value("balance")),
    ...(value("id").trim() && { id: value("id").trim() }),
    ...(limits.length > 0 && { limits: limitsOf(limits, value) }),
  };
}

export function NewTenant({ onClose }: { onClose: () => void }) {
  const { value, edit } = useEdits(noTexts);
  const [isMore, setIsMore] = useState(false);
  const [, goTo] = useLocation();
  const make = useTenantAction("", (tenant: WantedTenant) => call(createTenant(tenant)));
  const { at, rest } = fieldErrors(make.error, ["id", "name", "balance", ...limitFieldNames]);
  if (make.data) {
    const { id, name, webhook } = make.data;
    const goThere = () => goTo(`/tenants/${id}`);
    return (
      <Dialog title={`${name} is made`} onClose={goThere}>
        <ShownOnce label="Webhook secret" secret={webhook.secret ?? ""}>
          The webhooks to this tenant are signed with it.
        </ShownOnce>
        <button type="button" class="primary" onClick={goThere}>
          Go to its page
        </button>
      </Dialog>
    );
  }
  const text = (name: "id" | "name" | "balance") => ({
    value: value(name),
    onEdit: (to: string) => edit(name, to),
    error: at(name),
  });
  return (
    <Dialog title="New tenant" onClose={onClose}>
      <Form error={make.error} send={() => make.mutate(tenantOf(value))}>
        <TextField label="Name" {...text("name")} />
        <TextField
          label="Id"
          hint="3 to 32 of a-z, 0-9 and -, for good. Empty: one is made up."
          {...text("id")}
        />
        <TextField
          label="Balance"
          isNumber
          placeholder="Metered only"
          hint="Credits that it has paid for. Empty: not prepaid, only metered."
          {...text("balance")}
        />
        <details
          open={isMore || limitFieldNames.some(at)}
          onToggle={(event) => setIsMore(event.currentTarget.open)}
        >
          <summary>Limits</summary>
          <LimitFields value={value} edit={edit} errorAt={at} empty="The default" />
        </details>
        <FormEnd button="Make the tenant" isPending={make.isPending} rest={rest} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}
