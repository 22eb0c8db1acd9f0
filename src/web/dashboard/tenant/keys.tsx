/** A tenant's keys, with their making, rotation and revocation. */
import { useState } from "preact/hooks";
import { type Key, listKeys, revokeKey } from "#gateway";
import { nowMs } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { showTime } from "../../ui/format.ts";
import { PageTurner, usePages } from "../../ui/list-pages.tsx";
import { Problem } from "../../ui/notice.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { type KeyState, Status } from "../../ui/status.tsx";
import { Confirm } from "../form/confirm.tsx";
import { Panel, Placeholder } from "../panel.tsx";
import { NewKeyDialog } from "./new-key.tsx";
import { RotateKey } from "./rotate-key.tsx";
import { tenantQuery, useTenantAction } from "./tenant-actions.ts";
import "./keys.css";

interface Asked {
  what: "new" | "rotate" | "revoke";
  key?: Key;
}

export function Keys({ id }: { id: string }) {
  const [asked, setAsked] = useState<Asked>();
  const { rows, error, isLoading, ...pages } = usePages<Key>(tenantQuery(id, "keys"), (cursor) =>
    call(listKeys(id, { limit: 20, ...(cursor !== undefined && { cursor }) })),
  );
  const close = () => setAsked(undefined);
  const { what, key } = asked ?? {};
  const newKey = (
    <button type="button" class="primary" onClick={() => setAsked({ what: "new" })}>
      New key
    </button>
  );
  return (
    <Panel title="Keys" isWide actions={newKey}>
      <Problem error={error} />
      {!isLoading && !error && rows.length === 0 && (
        <Placeholder>It has no key yet, so it cannot use the gateway.</Placeholder>
      )}
      {rows.length > 0 && <KeyTable rows={rows} ask={setAsked} />}
      <PageTurner {...pages} names={["Back", "On"]} />
      {what === "new" && <NewKeyDialog tenant={id} onClose={close} />}
      {what === "rotate" && key && <RotateKey tenant={id} old={key} onClose={close} />}
      {what === "revoke" && key && <Revocation tenant={id} of={key} onClose={close} />}
    </Panel>
  );
}

function KeyTable({ rows, ask }: { rows: Key[]; ask: (asked: Asked) => void }) {
  return (
    <Scroller label="Table of keys">
      <table>
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">State</th>
            <th scope="col">Kind</th>
            <th scope="col">Scopes</th>
            <th scope="col">Origins</th>
            <th scope="col">Created</th>
            <th scope="col">Expires</th>
            <th scope="col">
              <span class="visually-hidden">What can be done</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((key) => (
            <KeyRow key={key.id} of={key} ask={ask} />
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}

function stateOf({ revoked_at: revoked, expires_at: expires }: Key): KeyState {
  const now = nowMs() / 1000;
  if (revoked !== null && revoked <= now) return "revoked";
  return expires !== null && expires <= now ? "expired" : "active";
}

function KeyRow({ of: key, ask }: { of: Key; ask: (asked: Asked) => void }) {
  const state = stateOf(key);
  return (
    <tr>
      <th scope="row" class="named">
        <span class="name">{key.name}</span>
        <code class="soft">{key.id}</code>
      </th>
      <td>
        <Status status={state} />
      </td>
      <td>{key.kind}</td>
      <td>{key.scopes.join(", ")}</td>
      <td>
        {key.allowed_origins.map((origin) => (
          <div key={origin}>{origin}</div>
        ))}
      </td>
      <td>{showTime(key.created)}</td>
      <td>{key.expires_at === null ? "never" : showTime(key.expires_at)}</td>
      <td class="actions">
        {state === "active" && (
          <>
            <button
              type="button"
              class="quiet"
              aria-label={`Rotate ${key.name}`}
              onClick={() => ask({ what: "rotate", key })}
            >
              Rotate
            </button>
            <button
              type="button"
              class="quiet"
              aria-label={`Revoke ${key.name}`}
              onClick={() => ask({ what: "revoke", key })}
            >
              Revoke
            </button>
          </>
        )}
      </td>
    </tr>
  );
}

function Revocation({ tenant, of: key, onClose }: { tenant: string; of: Key; onClose: () => void }) {
  const revoke = useTenantAction(tenant, () => call(revokeKey(tenant, key.id)), onClose);
  return (
    <Confirm
      title={`Revoke ${key.name}?`}
      button="Revoke it"
      isDanger
      change={{ ...revoke, mutate: () => revoke.mutate() }}
      onClose={onClose}
    >
      <p>
        From the next request on it is refused with 401, and tokens and signed links that were made with it
        die too.
        <strong> This cannot be undone.</strong>
      </p>
    </Confirm>
  );
}
