/** One tenant: warnings, usage, pictures, keys, credits, webhook, ledger, limits and settings. */
import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { getTenant } from "#gateway";
import { call } from "../../ui/call.ts";
import { useLastKnown } from "../../ui/last-known.ts";
import { Problem } from "../../ui/notice.tsx";
import { Credits } from "./credits.tsx";
import { Head } from "./head.tsx";
import { Keys } from "./keys.tsx";
import { Ledger } from "./ledger.tsx";
import { Limits } from "./limits.tsx";
import { Pictures } from "./pictures.tsx";
import { Settings } from "./settings.tsx";
import { tenantQuery } from "./tenant-actions.ts";
import { Usage } from "./usage.tsx";
import { WebhookSettings } from "./webhook-settings.tsx";
import "./tenant.css";

export function Tenant({ id }: { id: string }) {
  const read = useQuery({
    queryKey: tenantQuery(id),
    queryFn: () => call(getTenant(id)),
    refetchInterval: 10_000,
  });
  const { data: tenant, error } = useLastKnown(read);
  return (
    <div class="tenant">
      <nav aria-label="Where this is">
        <Link href="/tenants">← All tenants</Link>
      </nav>
      {!tenant && <h1>{id}</h1>}
      {!tenant && !error && <p class="soft">Reading…</p>}
      <Problem error={error} />
      {tenant && (
        <>
          <Head tenant={tenant} />
          <div class="panels">
            <Usage id={id} />
            <Pictures id={id} />
            <Keys id={id} />
            <Credits tenant={tenant} />
            <WebhookSettings tenant={tenant} />
            <Ledger id={id} isMetered={tenant.balance === null} />
            <Limits tenant={tenant} />
            <Settings tenant={tenant} />
          </div>
        </>
      )}
    </div>
  );
}
