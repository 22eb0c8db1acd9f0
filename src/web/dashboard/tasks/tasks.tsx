/** The tasks of all tenants. */

import { useEffect } from "preact/hooks";
import { taskStatuses } from "#definitions";
import { type AdminTask, listAllTasks } from "#gateway";
import { call } from "../../ui/call.ts";
import { PageTurner, usePages } from "../../ui/list-pages.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { Status } from "../../ui/status.tsx";
import { type Filtered, FilteredList, type FilterField } from "../filters.tsx";
import { models } from "../form/models.ts";
import { took } from "../task/life.ts";
import { TaskLink, TenantLink, When } from "../when.tsx";

const fields: readonly FilterField[] = [
  { name: "status", label: "Status", options: taskStatuses },
  { name: "tenant", label: "Tenant" },
  { name: "model", label: "Model", options: models },
  { name: "end_user", label: "End user" },
  { name: "request_id", label: "Request id" },
];
const pageSize = 50;
const refreshMs = 4_000;

export function Tasks() {
  return (
    <>
      <h1>Tasks</h1>
      <FilteredList fields={fields}>
        {(wanted, onError) => <List wanted={wanted} onError={onError} />}
      </FilteredList>
    </>
  );
}

function List({ wanted, onError }: { wanted: Filtered; onError: (error: unknown) => void }) {
  const { tenant, status, model, request_id: requestId, end_user: endUser } = wanted;
  const query = { tenant, status: status as AdminTask["status"], model, requestId, endUser, limit: pageSize };
  const { rows, error, isLoading, ...pages } = usePages(
    ["tasks", wanted],
    (cursor) => call(listAllTasks({ ...query, cursor })),
    refreshMs,
  );
  useEffect(() => onError(error), [error, onError]);
  const emptyText = Object.keys(wanted).length > 0 ? "No task is like that." : "There are no tasks yet.";
  return (
    <section class="panel" aria-label="Tasks" aria-busy={isLoading}>
      {rows.length > 0 && <Table tasks={rows} />}
      {rows.length === 0 && !error && <p class="empty">{isLoading ? "Reading…" : emptyText}</p>}
      <PageTurner {...pages} />
    </section>
  );
}

function Table({ tasks }: { tasks: AdminTask[] }) {
  return (
    <Scroller label="Table of tasks">
      <table class="roomy">
        <thead>
          <tr>
            <th scope="col">Task</th>
            <th scope="col">Status</th>
            <th scope="col">Tenant</th>
            <th scope="col">End user</th>
            <th scope="col">Model</th>
            <th scope="col" class="number">
              Images
            </th>
            <th scope="col">Submitted</th>
            <th scope="col" class="number">
              Took
            </th>
          </tr>
        </thead>
        <tbody>
          {tasks.map((task) => (
            <Row key={task.id} task={task} />
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}

const promptCharacters = 90;

function Row({ task }: { task: AdminTask }) {
  const asked = task.input?.n ?? 1;
  const prompt = task.input?.prompt.slice(0, promptCharacters).trim();
  return (
    <tr>
      <td class="subject">
        <TaskLink id={task.id} tenant={task.tenant}>
          {prompt || task.id}
        </TaskLink>
        <small class="mono soft">{task.id}</small>
      </td>
      <td>
        <Status status={task.status} />
        {task.error && <small class="soft below">{task.error.code}</small>}
        {task.erased && <small class="soft below">erased</small>}
        {task.status === "processing" && <small class="soft below">{task.progress} %</small>}
      </td>
      <td>
        <TenantLink id={task.tenant} />
      </td>
      <td class="short" title={task.end_user ?? undefined}>
        {task.end_user ?? <span class="soft">none</span>}
      </td>
      <td>{task.model}</td>
      <td class="number">{task.status === "completed" ? `${task.usage.images} of ${asked}` : asked}</td>
      <td>
        <When at={task.created} />
      </td>
      <td class="number">{took(task)}</td>
    </tr>
  );
}
