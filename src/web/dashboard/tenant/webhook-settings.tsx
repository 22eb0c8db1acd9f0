/** A tenant's webhook: address, events and secret. */
import { useState } from "preact/hooks";
import { webhookEvents } from "#definitions";
import { changeTenant, type Tenant, type Webhook } from "#gateway";
import { randomBytes } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { Notice, Problem } from "../../ui/notice.tsx";
import { Status } from "../../ui/status.tsx";
import { fieldErrors } from "../form/field-errors.ts";
import { CheckList, TextField } from "../form/fields.tsx";
import { Form } from "../form/form.tsx";
import { ShownOnce } from "../form/shown-once.tsx";
import { Panel } from "../panel.tsx";
import { type TenantChange, useTenantAction } from "./tenant-actions.ts";

/** A secret of 24 bytes, as the gateway makes them. */
function newSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...randomBytes(24)))}`;
}

export function WebhookSettings({ tenant }: { tenant: Tenant }) {
  const { webhook } = tenant;
  const [edited, setEdited] = useState<string>();
  const [chosen, setChosen] = useState<Webhook["events"]>();
  const [secret, setSecret] = useState<string>();
  const url = edited ?? webhook.url ?? "";
  const save = useTenantAction(
    tenant.id,
    (change: TenantChange) => call(changeTenant(tenant.id, change)),
    (changed) => {
      setEdited(undefined);
      setChosen(undefined);
      setSecret(changed.webhook.secret);
    },
  );
  const send = (isNewSecret: boolean) => {
    const given = { url: url.trim(), events: chosen ?? webhook.events };
    const wanted = { ...given, ...(isNewSecret && { secret: newSecret() }) };
    save.mutate({ webhook: given.url === "" ? null : wanted });
  };
  const { at, rest } = fieldErrors(save.error, ["webhook.url", "webhook.events"]);
  const isSwitchedOff = webhook.url !== null && webhook.status === "off";
  const isChanged =
    url !== (webhook.url ?? "") || (chosen ?? webhook.events).join() !== webhook.events.join();
  return (
    <Panel title="Webhook" actions={webhook.url !== null && <Status status={webhook.status} />}>
      <Form error={save.error} send={() => send(false)}>
        <TextField
          label="URL"
          type="url"
          placeholder="https://"
          hint="Empty: no webhooks are sent."
          value={url}
          onEdit={setEdited}
          error={at("webhook.url")}
        />
        <CheckList
          legend="Events"
          names={webhookEvents}
          chosen={chosen ?? webhook.events}
          onChoose={setChosen}
          error={at("webhook.events")}
        />
        <Problem error={rest} />
        {save.isSuccess && !isChanged && <Notice kind="done">Saved.</Notice>}
        <div class="row">
          <button type="submit" class="primary" disabled={save.isPending || !(isChanged || isSwitchedOff)}>
            {isSwitchedOff ? "Switch on again" : "Save webhook"}
          </button>
          {webhook.url !== null && <NewSecretButton isBusy={save.isPending} ask={() => send(true)} />}
        </div>
      </Form>
      {secret !== undefined && <SecretShown secret={secret} onClose={() => setSecret(undefined)} />}
    </Panel>
  );
}

function SecretShown({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Dialog title="Webhook secret" onClose={onClose}>
      <ShownOnce label="Secret" secret={secret}>
        Webhooks are signed with it. A secret that was set before signs beside it for a day.
      </ShownOnce>
    </Dialog>
  );
}

function NewSecretButton({ isBusy, ask }: { isBusy: boolean; ask: () => void }) {
  return (
    <button type="button" class="quiet" disabled={isBusy} onClick={ask}>
      New secret
    </button>
  );
}
