/** One task: its state, pictures, request, facts and timeline. */
import { useQuery } from "@tanstack/preact-query";
import { Link, useSearchParams } from "wouter-preact";
import { type AdminTask, getAnyTask } from "#gateway";
import { call, Refusal } from "../../ui/call.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { useLastKnown } from "../../ui/last-known.ts";
import { Notice, Problem } from "../../ui/notice.tsx";
import { Status } from "../../ui/status.tsx";
import { Facts, Request } from "./facts.tsx";
import { isOver } from "./life.ts";
import { TaskActions } from "./task-actions.tsx";
import { Timeline } from "./timeline.tsx";
import "./task.css";

const refreshMs = 2_000;

export function Task({ id }: { id: string }) {
  const tenant = useSearchParams()[0].get("tenant") ?? undefined;
  const read = useQuery({
    queryKey: ["task", id],
    queryFn: () => call(getAnyTask(id, { tenant })),
    refetchInterval: ({ state }) => {
      if (state.error instanceof Refusal && [400, 404].includes(state.error.status)) return false;
      return state.data?.settled ? false : refreshMs;
    },
  });
  const { data: task, error } = useLastKnown(read);
  return (
    <>
      <p>
        <Link href="/tasks">← All tasks</Link>
      </p>
      {!task && <h1 class="mono unknown">{id}</h1>}
      <Problem error={error} />
      {task && <TaskView task={task} />}
      {!task && !error && <p class="empty">Reading…</p>}
    </>
  );
}

function TaskView({ task }: { task: AdminTask }) {
  return (
    <>
      <header class="task-head">
        <div>
          <h1 class="mono">{task.id}</h1>
          <p class="row">
            <span aria-live="polite">
              <Status status={task.status} />
            </span>
            {!isOver(task) && <span class="soft">{task.progress} %</span>}
            <CopyButton text={task.id} label="Copy the id" />
          </p>
        </div>
        <TaskActions task={task} />
      </header>
      {!isOver(task) && <progress max={100} value={task.progress} aria-label="Progress" />}
      {task.error && (
        <p class="notice error">
          {task.error.message} <code>{task.error.code}</code>
        </p>
      )}
      {task.erased && (
        <Notice kind="info">
          This task is erased: its text and its pictures are gone. What it cost stays.
        </Notice>
      )}
      <div class="task-parts">
        <div>
          <Pictures task={task} />
          <Request task={task} />
          <Facts task={task} />
        </div>
        <div>
          <Timeline task={task} />
        </div>
      </div>
    </>
  );
}

function Pictures({ task: { images } }: { task: AdminTask }) {
  if (images.length === 0) return null;
  return (
    <section class="panel" aria-label="Pictures">
      <h2>Pictures</h2>
      <ul class="pictures">
        {images.map(({ url, width, height }, index) => (
          <li key={url}>
            <a href={url} target="_blank" rel="noreferrer">
              <img src={url} width={width} height={height} loading="lazy" alt={`Number ${index + 1}`} />
            </a>
            <small class="soft">
              {width} × {height}
            </small>
          </li>
        ))}
      </ul>
    </section>
  );
}
