/** What a tenant has made lately. */
import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { listAllTasks } from "#gateway";
import { call } from "../../ui/call.ts";
import { showTime } from "../../ui/format.ts";
import { Problem } from "../../ui/notice.tsx";
import { useStanding } from "../../ui/standing.ts";
import { tenantQuery } from "./acts.ts";
import { Nothing, Panel } from "./panel.tsx";

export function Pictures({ id }: { id: string }) {
  const read = useQuery({
    queryKey: tenantQuery(id, "pictures"),
    queryFn: () => call(listAllTasks({ tenant: id, status: "completed", limit: 12 })),
    refetchInterval: 10_000,
  });
  const { data, error } = useStanding(read);
  return (
    <Panel title="Recent pictures" isWide>
      <Problem error={error} />
      {data?.data.length === 0 && <Nothing>No task has been completed yet.</Nothing>}
      <ul class="recent">
        {data?.data.map(({ id: task, images, input, created }) => (
          <li key={task}>
            <Link href={`/tasks/${task}`} title={showTime(created)}>
              {images[0] ? (
                <img src={images[0].url} alt={input?.prompt ?? `Task ${task}`} loading="lazy" />
              ) : (
                task
              )}
              {images.length > 1 && <span class="how-many">{images.length} images</span>}
            </Link>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
