/** All tenants, with their warnings and today's usage. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { getAllUsage, listTenants, type Tenant } from "#gateway";
import { nowMs } from "../../ui/browser.ts";
import { call } from "../../ui/call.ts";
import { lastDays } from "../../ui/days.ts";
import { showNumber } from "../../ui/format.ts";
import { useLastKnown } from "../../ui/last-known.ts";
import { PageTurner, usePages } from "../../ui/list-pages.tsx";
import { Problem } from "../../ui/notice.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { Status } from "../../ui/status.tsx";
import { Placeholder } from "../panel.tsx";
import { tenantsQuery } from "../tenant/tenant-actions.ts";
import { warningsOf } from "../tenant/warnings.ts";
import { NewTenant } from "./new-tenant.tsx";
import "./tenants.css";

export function Tenants() {
  const [isMaking, setIsMaking] = useState(false);
  const { rows, error, isLoading, ...pages } = usePages<Tenant>(
    [...tenantsQuery, "page"],
    (cursor) => call(listTenants({ limit: 50, ...(cursor !== undefined && { cursor }) })),
    30_000,
  );
  return (
    <>
      <header class="section-head">
        <h1>Tenants</h1>
        <div class="row">
          <GoToTenant />
          <button type="button" class="primary" onClick={() => setIsMaking(true)}>
            New tenant
          </button>
        </div>
      </header>
      <section class="panel" aria-label="All tenants">
        <Problem error={error} />
        {isLoading && <p class="soft">Reading…</p>}
        {!isLoading && !error && rows.length === 0 && (
          <Placeholder>
            There is no tenant yet. Make one, give it a key, and it can make pictures.
          </Placeholder>
        )}
        {rows.length > 0 && <TenantTable rows={rows} />}
        <PageTurner {...pages} names={["Back", "On"]} />
      </section>
      {isMaking && <NewTenant onClose={() => setIsMaking(false)} />}
    </>
  );
}

/** Opens a tenant by its id, without the way through the list's pages. */
function GoToTenant() {
  const [id, setId] = useState("");
  const [, goTo] = useLocation();
  return (
    <form
      class="row go-to"
      onSubmit={(event) => {
        event.preventDefault();
        if (id.trim() !== "") goTo(`/tenants/${encodeURIComponent(id.trim())}`);
      }}
    >
      <input
        type="search"
        aria-label="Go to the tenant with this id"
        placeholder="Go to id"
        autocomplete="off"
        spellcheck={false}
        value={id}
        onInput={(event) => setId(event.currentTarget.value)}
      />
      <button type="submit">Go</button>
    </form>
  );
}

function TenantTable({ rows }: { rows: Tenant[] }) {
  const [today = ""] = lastDays(1, nowMs());
  const read = useQuery({
    queryKey: [...tenantsQuery, "usage", today],
    queryFn: () => call(getAllUsage({ $from: today, group: "tenant" })),
    refetchInterval: 30_000,
  });
  const usage = useLastKnown(read);
  const made = new Map(usage.data?.data.map((row) => [row.tenant, row]));
  return (
    <>
      <Problem error={usage.error} />
      <Scroller label="Tenants">
        <table>
          <thead>
            <tr>
              <th scope="col">Tenant</th>
              <th scope="col">Status</th>
              {["Available", "Balance", "Held", "Images today", "Credits today"].map((name) => (
                <th key={name} scope="col" class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((tenant) => (
              <TenantRow
                key={tenant.id}
                tenant={tenant}
                // A tenant that is not in the usage has made nothing; undefined: the usage is not read yet.
                today={made.get(tenant.id) ?? (usage.data && { images: 0, credits: 0 })}
              />
            ))}
          </tbody>
        </table>
      </Scroller>
    </>
  );
}

interface TenantRowProps {
  tenant: Tenant;
  today: { images: number; credits: number } | undefined;
}

function TenantRow({ tenant, today }: TenantRowProps) {
  const { id, name, status, balance, available, held } = tenant;
  // The status is shown already.
  const warnings = warningsOf(tenant).filter(({ short }) => short !== status);
  return (
    <tr>
      <th scope="row" class="named">
        <Link class="name" href={`/tenants/${id}`}>
          {name}
        </Link>
        <code class="soft">{id}</code>
      </th>
      <td>
        <span class="row">
          <Status status={status} />
          {warnings.map(({ short, tone }) => (
            <span key={short} class={`status ${tone}`}>
              {short}
            </span>
          ))}
        </span>
      </td>
      <td class="number">{available === null ? <span class="soft">metered</span> : showNumber(available)}</td>
      <td class="number">{balance === null ? <span class="soft">—</span> : showNumber(balance)}</td>
      <td class="number">{showNumber(held)}</td>
      <td class="number">{today ? showNumber(today.images) : "…"}</td>
      <td class="number">{today ? showNumber(today.credits) : "…"}</td>
    </tr>
  );
}
