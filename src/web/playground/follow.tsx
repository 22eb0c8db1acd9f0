/**
 * Following tasks by their event streams. A browser has few connections to give to one host, so that only some tasks
 * are followed at once; the list, which is read again now and then, tells of the others.
 */
import { useEffect, useState } from "preact/hooks";
import { getTask, type Task } from "#gateway";
import { Refusal } from "../ui/call.ts";
import { useSession } from "./session.ts";

const mostStreams = 3;
const comeBackMs = 3_000;

export const isOver = ({ finished }: Task): boolean => finished !== null;

/** The later of two readings of one task: progress never falls, and an end is final. */
export function later(a: Task, b: Task | undefined): Task {
  if (!b || isOver(a)) return a;
  return isOver(b) || b.progress > a.progress || (b.status === "processing" && a.status === "pending")
    ? b
    : a;
}

/** Told whether there is a connection that brings news of a task. */
type NoteConnection = (id: string, isThere: boolean) => void;

/** What is known of tasks beyond what was read of them. */
export function useLiveTasks() {
  const [known, setKnown] = useState<Record<string, Task>>({});
  const note = (task: Task) => setKnown((now) => ({ ...now, [task.id]: task }));
  const latest = (task: Task) => later(task, known[task.id]);
  const [lost, setLost] = useState<Record<string, boolean>>({});
  const noteConnection: NoteConnection = (id, isThere) =>
    setLost((now) => ((now[id] ?? false) === !isThere ? now : { ...now, [id]: !isThere }));
  return { note, latest, noteConnection, isLost: (id: string) => lost[id] ?? false };
}

interface Told {
  onNews: (task: Task) => void;
  onConnection: NoteConnection;
}

/** Draws nothing. @param tasks Those in view, the most important first. */
export function Followers({ tasks, ...told }: { tasks: Task[] } & Told) {
  const unfinished = new Map(tasks.filter((task) => !isOver(task)).map((task) => [task.id, task]));
  return (
    <>
      {[...unfinished.values()].slice(0, mostStreams).map((task) => (
        <Follower key={task.id} task={task} {...told} />
      ))}
    </>
  );
}

function Follower({ task, onNews, onConnection }: { task: Task } & Told) {
  const { ask } = useSession();
  // biome-ignore lint/correctness/useExhaustiveDependencies: one stream for one task, whose later readings it brings itself.
  useEffect(() => {
    let known = task;
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    // A stream that the gateway ends is opened anew, and only if that fails too is the connection lost.
    let failures = 0;
    const fail = () => {
      failures += 1;
      if (failures > 1) onConnection(task.id, false);
    };
    const succeed = () => {
      failures = 0;
      onConnection(task.id, true);
    };
    const tell = (news: Task) => {
      // A stream shows neither what was asked nor its own link.
      known = { ...news, input: news.input ?? known.input, links: { ...known.links, ...news.links } };
      onNews(known);
    };
    const open = () => {
      if (isOver(known) || known.links.events === undefined) return;
      source = new EventSource(known.links.events);
      source.addEventListener("task", (event) => {
        tell(JSON.parse(event.data) as Task);
        if (isOver(known)) source?.close();
      });
      source.addEventListener("open", succeed);
      source.addEventListener("error", () => {
        if (!isOver(known)) fail();
        // A connection that broke is taken up by the browser itself; a refusal, as of a link that is too old, is not.
        if (source?.readyState === EventSource.CLOSED && !isOver(known))
          timer = setTimeout(again, comeBackMs);
      });
    };
    const again = () => {
      ask(getTask(known.id)).then(
        (read) => {
          succeed();
          tell(read as Task);
          open();
        },
        (error: unknown) => {
          const isGone =
            error instanceof Refusal && error.status >= 400 && error.status < 500 && error.status !== 429;
          if (!isGone) fail();
          if (!isGone) timer = setTimeout(again, comeBackMs);
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
