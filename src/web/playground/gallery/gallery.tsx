/** The key's tasks, newest first, page by page. */
import { getTask, listTasks, type Task } from "#gateway";
import { nowMs } from "../../ui/browser.ts";
import { showAgo } from "../../ui/format.ts";
import { type ListPage, type Pages, PageTurner, usePages } from "../../ui/list-pages.tsx";
import { Problem } from "../../ui/notice.tsx";
import { keptTaskIds, useSession } from "../session.ts";
import { webAddress } from "../task-card/picture.tsx";
import "./gallery.css";

const perPage = 12;
const refreshMs = 15_000;
export const galleryKey = "gallery";

export function useGallery() {
  const { session, ask } = useSession();
  const listed = (cursor: string | undefined) => ask(listTasks({ limit: perPage, cursor }));
  /** Reads tasks by the ids that the tab keeps, for a key that may read its tasks but not list them. */
  const remembered = async (cursor: string | undefined): Promise<ListPage<Task>> => {
    const ids = keptTaskIds.read() ?? [];
    const from = Number(cursor ?? 0);
    const read = await Promise.allSettled(ids.slice(from, from + perPage).map((id) => ask(getTask(id))));
    // A task that was deleted since is left out.
    const data = read.flatMap((one) => (one.status === "fulfilled" ? [one.value as Task] : []));
    return { data, next_cursor: from + perPage < ids.length ? String(from + perPage) : null };
  };
  return usePages<Task>([galleryKey], session.lists ? listed : remembered, refreshMs);
}

export interface GalleryProps {
  tasks: Task[];
  pages: Pages;
  error: unknown;
  isLoading: boolean;
  openId: string | undefined;
  onOpen: (task: Task) => void;
}

export function Gallery({ tasks, pages, error, isLoading, openId, onOpen }: GalleryProps) {
  return (
    <section class="panel gallery" aria-labelledby="gallery-title" aria-busy={isLoading}>
      <h2 id="gallery-title">Made with this key</h2>
      <Problem error={error} />
      {tasks.length === 0 && !isLoading && !error && (
        <p class="soft">Nothing yet. What you make is kept here, also when you close the page.</p>
      )}
      <ul class="thumbnails">
        {tasks.map((task) => (
          <li key={task.id}>
            <Thumbnail task={task} isOpen={task.id === openId} onOpen={() => onOpen(task)} />
          </li>
        ))}
      </ul>
      <PageTurner {...pages} />
    </section>
  );
}

interface ThumbnailProps {
  task: Task;
  isOpen: boolean;
  onOpen: () => void;
}

function Thumbnail({ task, isOpen, onOpen }: ThumbnailProps) {
  const { input, created, images } = task;
  const [first] = images;
  return (
    <button type="button" class="thumbnail" aria-current={isOpen ? "true" : undefined} onClick={onOpen}>
      <span class="frame">
        {first ? (
          <img src={webAddress(first.url)} alt="" loading="lazy" width={first.width} height={first.height} />
        ) : (
          <State task={task} />
        )}
        {images.length > 1 && <span class="image-count">{images.length} images</span>}
      </span>
      <span class="caption">{input?.prompt}</span>
      <small class="soft">{showAgo(created, nowMs())}</small>
    </button>
  );
}

function State({ task: { status, progress, error } }: { task: Task }) {
  if (status === "failed") {
    // The message is cut here; the card, which the tile opens, shows all of it.
    return (
      <span class="note bad">
        <span class="words">{error?.message ?? "Failed"}</span>
      </span>
    );
  }
  if (status === "cancelled") return <span class="note">Cancelled</span>;
  return (
    <span class="note">
      {progress > 0 ? `${progress} %` : "Waiting"}
      <progress aria-label="Progress" max={100} value={progress} />
    </span>
  );
}
