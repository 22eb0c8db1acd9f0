/** Who changed what, newest first. */
import { getAudit } from "#gateway";
import { call } from "../../ui/call.ts";
import { Problem } from "../../ui/notice.tsx";
import { PageTurner, usePages } from "../../ui/pages.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { TaskLink, TenantLink, When } from "../when.tsx";

const pageSize = 25;
const refreshMs = 10_000;
/** Sorts after every tenant's id: nobody's books are checked for it. */
const nobody = "~";

const readActs = async (actsCursor: string | undefined) =>
  (await call(getAudit({ cursor: nobody, actsLimit: pageSize, actsCursor }))).acts;

type Act = Awaited<ReturnType<typeof readActs>>["data"][number];

export function Acts() {
  const { rows, error, isLoading, ...pages } = usePages<Act>(["acts"], readActs, refreshMs);
  return (
    <section class="panel" aria-label="Who changed what" aria-busy={isLoading}>
      <h2>Who changed what</h2>
      <Problem error={error} />
      {rows.length === 0 && !error && (
        <p class="empty">{isLoading ? "Reading…" : "Nobody has changed anything."}</p>
      )}
      {rows.length > 0 && <Table acts={rows} />}
      <PageTurner {...pages} />
    </section>
  );
}

function Table({ acts }: { acts: Act[] }) {
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
          {acts.map((act) => (
            <Row key={act.id} act={act} />
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}

const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function Row({ act }: { act: Act }) {
  const { at, actor, tenant, subject, details, request_id } = act;
  const changes = Object.entries(details).map(([name, value]) => `${name}: ${asText(value)}`);
  return (
    <tr>
      <td>
        <When at={at} toSecond />
        <small class="mono soft below">{request_id}</small>
      </td>
      <td>{actor === "admin" ? "admin" : <code>{actor}</code>}</td>
      <td>{act.act}</td>
      <td>{tenant && <TenantLink id={tenant} />}</td>
      <td>{subject?.startsWith("task-") ? <TaskLink id={subject} /> : <code>{subject}</code>}</td>
      <td class="long">{changes.join("; ")}</td>
    </tr>
  );
}
