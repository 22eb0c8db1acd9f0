/** One task: its progress, pictures, error and details. */

import type { Ref } from "preact";
import { useEffect, useState } from "preact/hooks";
import { choices } from "#definitions";
import type { Task } from "#gateway";
import { nowMs } from "../../ui/browser.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { count, showAgo, showSeconds, showTime } from "../../ui/format.ts";
import { Notice } from "../../ui/notice.tsx";
import { Status } from "../../ui/status.tsx";
import { choiceNames } from "../form/draft.ts";
import { Picture } from "./picture.tsx";
import "./task-card.css";

export interface TaskCardProps {
  task: Task;
  /** The connection to the task's event stream is lost. */
  isLost: boolean;
  /** The title, which gets the focus when the task is opened. */
  titleRef: Ref<HTMLHeadingElement>;
  onReuse: (task: Task) => void;
  onEdit: (url: string) => void;
}

export function TaskCard({ task, isLost, titleRef, onReuse, onEdit }: TaskCardProps) {
  const prompt = task.input?.prompt ?? "";
  return (
    <article class="panel task" aria-labelledby="task-title">
      <header class="row between">
        <h2 id="task-title" ref={titleRef} tabIndex={-1}>
          {task.images.length > 1 ? "Your pictures" : "Your picture"}
        </h2>
        <span class="row">
          <small class="soft" title={showTime(task.created)}>
            {showAgo(task.created, nowMs())}
          </small>
          <span aria-live="polite">
            <Status status={task.status} />
          </span>
        </span>
      </header>
      <p class="task-prompt">{prompt}</p>
      <p class="connection-lost" aria-live="polite">
        {isLost && task.finished === null && "The connection is lost; trying again…"}
      </p>
      <Outcome task={task} onEdit={onEdit} />
      <footer class="row">
        <button type="button" onClick={() => onReuse(task)}>
          {task.input?.seed === undefined ? "Same settings" : "Same settings and seed"}
        </button>
        <Details task={task} />
      </footer>
    </article>
  );
}

function Outcome({ task, onEdit }: Pick<TaskCardProps, "task" | "onEdit">) {
  const { status, images, error, input } = task;
  const asked = input?.n ?? images.length;
  if (status === "failed") {
    const again = error?.retryable ? " Trying again may help." : "";
    return (
      <Notice kind="error">
        {error?.message ?? "The task failed."} {sizeHint(task)}Nothing was charged.{again}
      </Notice>
    );
  }
  if (status === "cancelled")
    return <Notice kind="info">Cancelled before it was begun. Nothing was charged.</Notice>;
  if (status !== "completed") return <Progress task={task} />;
  return (
    <>
      {images.length < asked && (
        <Notice kind="info">
          {images.length} of {count(asked, "image")} came. Only what came is charged.
        </Notice>
      )}
      <ul class={images.length > 1 ? "pictures several" : "pictures"}>
        {images.map((image) => (
          <li key={image.url}>
            <Picture image={image} alt={input?.prompt ?? ""} onEdit={onEdit} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** The model does not name the field that it refuses; a custom size is the likeliest. */
function sizeHint({ error, input }: Task): string {
  const size = input?.size;
  if (error?.code !== "invalid_parameters" || typeof size !== "object") return "";
  return `It may be the size of ${size.width} × ${size.height}: see the bounds beside it on the form. `;
}

function Progress({ task }: { task: Task }) {
  const { progress, task_info: info, status } = task;
  const isQueued = status === "pending" && progress === 0;
  const place = info.queue_position === null ? "" : `, place ${info.queue_position}`;
  const isPast = usePast(task.created + (info.estimated_time ?? 0));
  const guess = info.estimated_time && !isPast ? `about ${showSeconds(info.estimated_time)} in all` : "";
  return (
    <div class="running">
      <div class="row between">
        <span>{isQueued ? `Waiting its turn${place}` : `${progress} %`}</span>
        <span class="soft">{guess}</span>
      </div>
      <progress aria-label="Progress" max={100} value={progress} />
      <p class="hint">
        You can leave: it goes on without this page, and is in the list below when you are back.
      </p>
    </div>
  );
}

/** Whether a time has passed; the component is drawn anew when it does. @param at Unix seconds. */
function usePast(at: number): boolean {
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => redraw(at), Math.max(0, at * 1_000 - nowMs() + 50));
    return () => clearTimeout(timer);
  }, [at]);
  return nowMs() >= at * 1_000;
}

function Details({ task }: { task: Task }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="facts" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Details</summary>
      {isOpen && (
        <dl>
          {factsOf(task).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
          <div>
            <dt>Task</dt>
            <dd>
              <code>{task.id}</code> <CopyButton text={task.id} label="Copy id" />
            </dd>
          </div>
        </dl>
      )}
    </details>
  );
}

function factsOf({ model, input, created, finished, metadata }: Task): [string, string][] {
  const size = input?.size;
  const facts: [string, unknown][] = [
    // The card cuts a long prompt; the details show all of it.
    ["Prompt", input?.prompt],
    ["Model", model],
    ["Size", typeof size === "object" ? `${size.width} × ${size.height}` : (size ?? "Auto")],
    ["Number", input?.n],
    ["Seed", input?.seed],
    ["Negative prompt", input?.negative_prompt],
    ["References", input?.image_urls?.join("\n")],
    ...choiceNames.map((name): [string, unknown] => [choices[name].label, input?.[name]]),
    ["Took", finished === null ? undefined : showSeconds(finished - created)],
    ...Object.entries(metadata),
  ];
  return facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
}
