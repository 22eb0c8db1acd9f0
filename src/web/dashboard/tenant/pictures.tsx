/** A tenant's newest pictures. */
import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { listAllTasks } from "#gateway";
import { call } from "../../ui/call.ts";
import { showTime } from "../../ui/format.ts";
import { useLastKnown } from "../../ui/last-known.ts";
import { Problem } from "../../ui/notice.tsx";
import { Panel, Placeholder } from "../panel.tsx";
import { tenantQuery } from "./tenant-actions.ts";
import "./pictures.css";

export function Pictures({ id }: { id: string }) {
  const read = useQuery({
    queryKey: tenantQuery(id, "pictures"),
    queryFn: () => call(listAllTasks({ tenant: id, status: "completed", limit: 12 })),
    refetchInterval: 10_000,
  });
  const { data, error } = useLastKnown(read);
  const tasks = data?.data.filter(({ erased }) => !erased);
  return (
    <Panel title="Recent pictures" isWide>
      <Problem error={error} />
      {tasks?.length === 0 && (
        <Placeholder>
          {data?.data.length === 0 ? "No task has been completed yet." : "The newest tasks are erased."}
        </Placeholder>
      )}
      <ul class="recent">
        {tasks?.map(({ id: task, images, input, created }) => (
          <li key={task}>
            <Link href={`/tasks/${task}`} title={showTime(created)}>
              {images[0] ? (
                <img src={images[0].url} alt={input?.prompt ?? `Task ${task}`} loading="lazy" />
              ) : (
                task
              )}
              {images.length > 1 && <span class="image-count">{images.length} images</span>}
            </Link>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
