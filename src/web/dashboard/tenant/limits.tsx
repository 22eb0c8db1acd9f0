/** A tenant's limits. */
import type { Tenant } from "#gateway";
import { Notice, Problem } from "../../ui/notice.tsx";
import { textOf, useEdits } from "../form/edits.ts";
import { fieldErrors } from "../form/field-errors.ts";
import { Form } from "../form/form.tsx";
import { LimitFields, type LimitName, limitFieldNames, limitNames, limitsOf } from "../form/limit-fields.tsx";
import { Panel } from "../panel.tsx";
import { useTenantChange } from "./tenant-actions.ts";

export function Limits({ tenant }: { tenant: Tenant }) {
  const server = Object.fromEntries(limitNames.map((name) => [name, textOf(tenant.limits[name])]));
  const { value, edit, changed, reset } = useEdits(server as Record<LimitName, string>);
  const save = useTenantChange(tenant.id, reset);
  const { at, rest } = fieldErrors(save.error, limitFieldNames);
  return (
    <Panel title="Limits">
      <Form
        error={save.error}
        send={() => {
          // Only changed limits are sent: another operator may have changed the others meanwhile.
          save.mutate({ limits: limitsOf(changed, value) });
        }}
      >
        <LimitFields value={value} edit={edit} errorAt={at} empty="No limit" />
        <Problem error={rest} />
        {save.isSuccess && changed.length === 0 && <Notice kind="done">Saved.</Notice>}
        <button type="submit" class="primary" disabled={changed.length === 0 || save.isPending}>
          Save limits
        </button>
        <p class="hint">Days and months are UTC. An empty field is no limit.</p>
      </Form>
    </Panel>
  );
}
