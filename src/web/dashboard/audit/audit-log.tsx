/** The audit log, newest first: who changed what. */
import { getAudit } from "#gateway";
import { call } from "../../ui/call.ts";
import { PageTurner, usePages } from "../../ui/list-pages.tsx";
import { Problem } from "../../ui/notice.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { TaskLink, TenantLink, When } from "../when.tsx";

const pageSize = 25;
const refreshMs = 10_000;
/** Sorts after every tenant's id, so that the call reconciles no tenant. */
const afterAllTenants = "~";

const readAuditLog = async (actsCursor: string | undefined) =>
  (await call(getAudit({ cursor: afterAllTenants, actsLimit: pageSize, actsCursor }))).acts;

type AuditEntry = Awaited<ReturnType<typeof readAuditLog>>["data"][number];

export function AuditLog() {
  const { rows, error, isLoading, ...pages } = usePages<AuditEntry>(["audit log"], readAuditLog, refreshMs);
  return (
    <section class="panel" aria-label="Who changed what" aria-busy={isLoading}>
      <h2>Who changed what</h2>
      <Problem error={error} />
      {rows.length === 0 && !error && (
        <p class="empty">{isLoading ? "Reading…" : "Nothing has been changed yet."}</p>
      )}
      {rows.length > 0 && <Table entries={rows} />}
      <PageTurner {...pages} />
    </section>
  );
}

function Table({ entries }: { entries: AuditEntry[] }) {
  return (
    <Scroller label="Table of changes">
      <table class="roomy">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">Tenant</th>
            <th scope="col">Subject</th>
            <th scope="col">Details</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <Row key={entry.id} entry={entry} />
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}

const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function Row({ entry }: { entry: AuditEntry }) {
  const { at, actor, tenant, subject, details, request_id, act: action } = entry;
  const changes = Object.entries(details).map(([name, value]) => `${name}: ${asText(value)}`);
  return (
    <tr>
      <td>
        <When at={at} toSecond />
        <small class="mono soft below">{request_id}</small>
      </td>
      <td>{actor === "admin" ? "admin" : <code>{actor}</code>}</td>
      <td>{action}</td>
      <td>{tenant && <TenantLink id={tenant} />}</td>
      <td>{subject?.startsWith("task-") ? <TaskLink id={subject} /> : <code>{subject}</code>}</td>
      <td class="long">{changes.join("; ")}</td>
    </tr>
  );
}
