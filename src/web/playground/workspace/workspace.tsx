/** The workspace: the form, the task in view, the gallery, and the request as code. */
import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useRef, useState } from "preact/hooks";
import { listModels, type Task } from "#gateway";
import { Notice, Problem } from "../../ui/notice.tsx";
import { Code } from "../code/code.tsx";
import { bodyOf, type Draft, draftOf, type Edit, referenceTo } from "../form/draft.ts";
import { Form } from "../form/form.tsx";
import { modelsToCome } from "../form/model-field.tsx";
import { maxReferences, problemsOf } from "../form/rules.ts";
import { useSubmission } from "../form/submission.ts";
import { Gallery, galleryKey, useGallery } from "../gallery/gallery.tsx";
import { rememberTask, useSession } from "../session.ts";
import { TaskCard } from "../task-card/task-card.tsx";
import { TaskStreams, useLiveTasks } from "./task-streams.tsx";
import "./workspace.css";

export function Workspace({ draft, edit }: { draft: Draft; edit: Edit }) {
  const { ask } = useSession();
  const models = useQuery({ queryKey: ["models"], queryFn: () => ask(listModels()), staleTime: 300_000 });
  const priced = models.data?.data ?? [];
  const body = bodyOf(
    draft,
    priced.map(({ id }) => id),
  );
  const problems = problemsOf(draft, body.model);
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
      <div class="form-area">
        <Problem error={models.error} />
        {models.data && priced.length === 0 && <Notice kind="info">This key may use no model.</Notice>}
        <Form
          draft={draft}
          edit={edit}
          body={body}
          problems={problems}
          models={models.data?.data ?? modelsToCome}
          submission={submission}
        />
      </div>
      <div class="result-area">
        <TaskStreams
          tasks={opened ? [opened, ...tasks] : tasks}
          onTask={shown.update}
          onConnection={shown.setConnected}
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
          <Placeholder />
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
      <div class="code-area">
        <Code body={Object.keys(problems).length === 0 ? body : undefined} />
      </div>
    </main>
  );
}

/** The task in view and the gallery's tasks, each in its latest known state. */
function useShownTasks() {
  const client = useQueryClient();
  const live = useLiveTasks();
  const gallery = useGallery();
  const [chosen, setChosen] = useState<Task | undefined>(undefined);
  const title = useRef<HTMLHeadingElement>(null);
  const tasks = gallery.rows.map(live.latest);
  // After a reload the task that is not finished comes into view: the person waits for it.
  const unfinished = tasks.find(({ finished }) => finished === null);
  const opened = chosen && live.latest(chosen);
  if (!chosen && unfinished) setChosen(unfinished);
  const open = (task: Task) => {
    setChosen(task);
    // The card is there by the next frame.
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
    update: live.update,
    setConnected: live.setConnected,
    isLost: live.isLost,
  };
}

function Placeholder() {
  return (
    <section class="panel placeholder" aria-label="Result">
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
