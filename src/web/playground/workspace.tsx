/** The form, what came of it, what was made before, and the code for it. */
import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useRef, useState } from "preact/hooks";
import { listModels, type Task } from "#gateway";
import { Notice, Problem } from "../ui/notice.tsx";
import { Code } from "./code.tsx";
import { bodyOf, type Draft, draftOf, type Edit, maxReferences, referenceTo } from "./draft.ts";
import { Followers, useLiveTasks } from "./follow.tsx";
import { Form } from "./form.tsx";
import { Gallery, galleryKey, useGallery } from "./gallery.tsx";
import { problemsOf } from "./rules.ts";
import { rememberTask, useSession } from "./session.ts";
import { useSubmission } from "./submission.ts";
import { TaskCard } from "./task-card.tsx";

export function Workspace({ draft, edit }: { draft: Draft; edit: Edit }) {
  const { ask } = useSession();
  const models = useQuery({ queryKey: ["models"], queryFn: () => ask(listModels()), staleTime: 300_000 });
  const priced = models.data?.data ?? [];
  const body = bodyOf(
    draft,
    priced.map(({ id }) => id),
  );
  const problems = problemsOf(draft);
  const shown = useShownTasks();
  const submission = useSubmission(shown.add);
  const { opened, tasks, gallery, title } = shown;
  const reuse = (task: Task) => {
    edit(draftOf(task));
    document.querySelector<HTMLElement>(".draft textarea")?.focus();
  };
  const editPicture = (url: string) => {
    edit(({ references }) => ({ references: [...references, referenceTo(url, url)].slice(-maxReferences) }));
    document.querySelector<HTMLElement>(".draft textarea")?.focus();
  };
  return (
    <main class="workspace">
      <h1 class="visually-hidden">Make a picture</h1>
      <div class="ask">
        <Problem error={models.error} />
        {models.data && priced.length === 0 && <Notice kind="info">This key may use no model.</Notice>}
        <Form
          draft={draft}
          edit={edit}
          body={body}
          problems={problems}
          models={priced}
          submission={submission}
        />
      </div>
      <div class="made">
        <Followers
          tasks={opened ? [opened, ...tasks] : tasks}
          onNews={shown.note}
          onConnection={shown.noteConnection}
        />
        {opened ? (
          <TaskCard
            key={opened.id}
            task={opened}
            isLost={shown.isLost(opened.id)}
            titleRef={title}
            onReuse={reuse}
            onEdit={editPicture}
          />
        ) : (
          <Nothing />
        )}
        <Gallery
          tasks={tasks}
          pages={gallery}
          error={gallery.error}
          isLoading={gallery.isLoading}
          openId={opened?.id}
          onOpen={shown.open}
        />
      </div>
      <div class="code-place">
        <Code body={Object.keys(problems).length === 0 ? body : undefined} />
      </div>
    </main>
  );
}

/** The task in view and the list, each as it is by the latest news. */
function useShownTasks() {
  const client = useQueryClient();
  const live = useLiveTasks();
  const gallery = useGallery();
  const [chosen, setChosen] = useState<Task | undefined>(undefined);
  const title = useRef<HTMLHeadingElement>(null);
  const tasks = gallery.rows.map(live.latest);
  // After a reload what is still being made is what the person waits for.
  const waited = tasks.find(({ finished }) => finished === null);
  const opened = chosen && live.latest(chosen);
  if (!chosen && waited) setChosen(waited);
  const open = (task: Task) => {
    setChosen(task);
    // Once the card is there.
    requestAnimationFrame(() => title.current?.focus());
  };
  const add = (task: Task) => {
    rememberTask(task.id);
    setChosen(task);
    void client.invalidateQueries({ queryKey: [galleryKey] });
    requestAnimationFrame(() => title.current?.scrollIntoView({ block: "nearest" }));
  };
  return {
    opened,
    tasks,
    gallery,
    title,
    open,
    add,
    note: live.note,
    noteConnection: live.noteConnection,
    isLost: live.isLost,
  };
}

function Nothing() {
  return (
    <section class="panel nothing" aria-label="Result">
      <svg viewBox="0 0 120 80" aria-hidden="true">
        <rect x="6" y="6" width="108" height="68" rx="8" />
        <circle cx="88" cy="27" r="9" />
        <path d="M14 66 46 32l22 24 12-11 26 21" />
      </svg>
      <p class="lead">Your picture will be here.</p>
      <p class="soft">Describe it and press “Make it”. It takes about half a minute.</p>
    </section>
  );
}
