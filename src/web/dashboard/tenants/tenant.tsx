/** One tenant: whether it is well, its keys, its money, what it makes, what it is set to. */
import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { getTenant } from "#gateway";
import { call } from "../../ui/call.ts";
import { Problem } from "../../ui/notice.tsx";
import { useStanding } from "../../ui/standing.ts";
import { tenantQuery } from "./acts.ts";
import { Credits } from "./credits.tsx";
import { Head } from "./head.tsx";
import { Keys } from "./keys.tsx";
import { Ledger } from "./ledger.tsx";
import { Limits } from "./limits.tsx";
import { Pictures } from "./pictures.tsx";
import { Settings } from "./settings.tsx";
import { Usage } from "./usage.tsx";
import { WebhookSettings } from "./webhook-settings.tsx";

export function Tenant({ id }: { id: string }) {
  const read = useQuery({
    queryKey: tenantQuery(id),
    queryFn: () => call(getTenant(id)),
    refetchInterval: 10_000,
  });
  const { data: tenant, error } = useStanding(read);
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
