/**
 * Event streams of tasks. A browser has few connections for one host, so only some tasks are streamed at once; the
 * gallery, which is read again at intervals, updates the others.
 */
import { useEffect, useState } from "preact/hooks";
import { getTask, type Task } from "#gateway";
import { Refusal } from "../../ui/call.ts";
import { useSession } from "../session.ts";

const mostStreams = 3;
const reopenMs = 3_000;

export const isOver = ({ finished }: Task): boolean => finished !== null;

/** The later of two states of one task: progress never falls, and an end is final. */
export function later(a: Task, b: Task | undefined): Task {
  if (!b || isOver(a)) return a;
  return isOver(b) || b.progress > a.progress || (b.status === "processing" && a.status === "pending")
    ? b
    : a;
}

/** Is called with whether a task's stream is connected. */
type OnConnection = (id: string, isConnected: boolean) => void;

/** The latest states of streamed tasks, and whose connection is lost. */
export function useLiveTasks() {
  const [known, setKnown] = useState<Record<string, Task>>({});
  const update = (task: Task) => setKnown((now) => ({ ...now, [task.id]: task }));
  const latest = (task: Task) => later(task, known[task.id]);
  const [lost, setLost] = useState<Record<string, boolean>>({});
  const setConnected: OnConnection = (id, isConnected) =>
    setLost((now) => ((now[id] ?? false) === !isConnected ? now : { ...now, [id]: !isConnected }));
  return { update, latest, setConnected, isLost: (id: string) => lost[id] ?? false };
}

interface StreamListeners {
  /** Is called with each new state of a task. */
  onTask: (task: Task) => void;
  onConnection: OnConnection;
}

/** Streams the unfinished tasks and draws nothing. @param tasks The most important ones first. */
export function TaskStreams({ tasks, ...listeners }: { tasks: Task[] } & StreamListeners) {
  const unfinished = new Map(tasks.filter((task) => !isOver(task)).map((task) => [task.id, task]));
  return (
    <>
      {[...unfinished.values()].slice(0, mostStreams).map((task) => (
        <TaskStream key={task.id} task={task} {...listeners} />
      ))}
    </>
  );
}

function TaskStream({ task, onTask, onConnection }: { task: Task } & StreamListeners) {
  const { ask } = useSession();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a task has one stream, which brings the task's later states itself.
  useEffect(() => {
    let known = task;
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    // The gateway ends a stream now and then. The connection is lost only if opening it anew fails too.
    let failures = 0;
    const fail = () => {
      failures += 1;
      if (failures > 1) onConnection(task.id, false);
    };
    const succeed = () => {
      failures = 0;
      onConnection(task.id, true);
    };
    const update = (latest: Task) => {
      // A stream's events have neither the request nor the link of the stream.
      known = { ...latest, input: latest.input ?? known.input, links: { ...known.links, ...latest.links } };
      onTask(known);
    };
    const open = () => {
      if (isOver(known) || known.links.events === undefined) return;
      source = new EventSource(known.links.events);
      source.addEventListener("task", (event) => {
        update(JSON.parse(event.data) as Task);
        if (isOver(known)) source?.close();
      });
      source.addEventListener("open", succeed);
      source.addEventListener("error", () => {
        if (!isOver(known)) fail();
        // The browser reopens a broken connection itself, but not a refused one, as of an expired link.
        if (source?.readyState === EventSource.CLOSED && !isOver(known)) timer = setTimeout(reopen, reopenMs);
      });
    };
    const reopen = () => {
      ask(getTask(known.id)).then(
        (read) => {
          succeed();
          update(read as Task);
          open();
        },
        (error: unknown) => {
          const isGone =
            error instanceof Refusal && error.status >= 400 && error.status < 500 && error.status !== 429;
          if (!isGone) fail();
          if (!isGone) timer = setTimeout(reopen, reopenMs);
        },
      );
    };
    open();
    return () => {
      source?.close();
      clearTimeout(timer);
    };
  }, [task.id]);
  return null;
}
