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

/** What is known of tasks beyond what was read of them. */
export function useLiveTasks() {
  const [known, setKnown] = useState<Record<string, Task>>({});
  const note = (task: Task) => setKnown((now) => ({ ...now, [task.id]: task }));
  const latest = (task: Task) => later(task, known[task.id]);
  return { note, latest };
}

/** Draws nothing. @param tasks Those in view, the most important first. */
export function Followers({ tasks, onNews }: { tasks: Task[]; onNews: (task: Task) => void }) {
  const unfinished = new Map(tasks.filter((task) => !isOver(task)).map((task) => [task.id, task]));
  return (
    <>
      {[...unfinished.values()].slice(0, mostStreams).map((task) => (
        <Follower key={task.id} task={task} onNews={onNews} />
      ))}
    </>
  );
}

function Follower({ task, onNews }: { task: Task; onNews: (task: Task) => void }) {
  const { ask } = useSession();
  // biome-ignore lint/correctness/useExhaustiveDependencies: one stream for one task, whose later readings it brings itself.
  useEffect(() => {
    let known = task;
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
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
      source.addEventListener("error", () => {
        // A connection that broke is taken up by the browser itself; a refusal, as of a link that is too old, is not.
        if (source?.readyState === EventSource.CLOSED && !isOver(known))
          timer = setTimeout(again, comeBackMs);
      });
    };
    const again = () => {
      ask(getTask(known.id)).then(
        (read) => {
          tell(read as Task);
          open();
        },
        (error: unknown) => {
          const isGone =
            error instanceof Refusal && error.status >= 400 && error.status < 500 && error.status !== 429;
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
