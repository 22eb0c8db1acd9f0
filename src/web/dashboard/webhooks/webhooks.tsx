/** All webhook deliveries, and which of them did not arrive. */
import { useEffect } from "preact/hooks";
import { deliveryStates } from "#definitions";
import { listDeliveries, type WebhookDelivery } from "#gateway";
import { call } from "../../ui/call.ts";
import { PageTurner, usePages } from "../../ui/list-pages.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { Status } from "../../ui/status.tsx";
import { type Filtered, FilteredList, type FilterField } from "../filters.tsx";
import { TaskLink, TenantLink } from "../when.tsx";
import { Attempts } from "./attempts.tsx";
import { SendAgain } from "./send-again.tsx";

const fields: readonly FilterField[] = [
  { name: "status", label: "Status", options: deliveryStates },
  { name: "tenant", label: "Tenant" },
  { name: "task", label: "Task" },
];
const pageSize = 50;
const refreshMs = 4_000;

export function Webhooks() {
  return (
    <>
      <h1>Webhooks</h1>
      <FilteredList fields={fields}>
        {(wanted, onError) => <List wanted={wanted} onError={onError} />}
      </FilteredList>
    </>
  );
}

function List({ wanted, onError }: { wanted: Filtered; onError: (error: unknown) => void }) {
  const { tenant, task } = wanted;
  const query = { tenant, task, status: wanted.status as WebhookDelivery["status"], limit: pageSize };
  const { rows, error, isLoading, ...pages } = usePages(
    ["deliveries", wanted],
    (cursor) => call(listDeliveries({ ...query, cursor })),
    refreshMs,
  );
  useEffect(() => onError(error), [error, onError]);
  const emptyText =
    Object.keys(wanted).length > 0 ? "No delivery is like that." : "There are no deliveries yet.";
  return (
    <section class="panel" aria-label="Deliveries" aria-busy={isLoading}>
      {rows.length > 0 && <Table deliveries={rows} />}
      {rows.length === 0 && !error && <p class="empty">{isLoading ? "Reading…" : emptyText}</p>}
      <PageTurner {...pages} />
    </section>
  );
}

function Table({ deliveries }: { deliveries: WebhookDelivery[] }) {
  return (
    <Scroller label="Table of deliveries">
      <table class="roomy">
        <thead>
          <tr>
            <th scope="col">Event</th>
            <th scope="col">Status</th>
            <th scope="col">Tenant</th>
            <th scope="col">Target</th>
            <th scope="col">Attempts</th>
            <th scope="col">
              <span class="visually-hidden">What can be done</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {deliveries.map((delivery) => (
            <Row key={delivery.id} delivery={delivery} />
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}

function Row({ delivery }: { delivery: WebhookDelivery }) {
  const { id, event, task, status, tenant, target } = delivery;
  return (
    <tr>
      <td class="subject">
        {event}
        <small>{task === null ? <span class="mono soft">{id}</span> : <TaskLink id={task} />}</small>
      </td>
      <td>
        <Status status={status} />
      </td>
      <td>
        <TenantLink id={tenant} />
      </td>
      <td class="short" title={target}>
        {target}
      </td>
      <td>
        <Attempts delivery={delivery} />
      </td>
      <td>
        <SendAgain id={id} />
      </td>
    </tr>
  );
}
