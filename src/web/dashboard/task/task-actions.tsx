/** The operator's actions on a task: poll it now, or fail it. */
import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { type AdminTask, failTask, refreshTask } from "#gateway";
import { useAction } from "../../ui/action.ts";
import { call } from "../../ui/call.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { showNumber } from "../../ui/format.ts";
import { Notice, Problem } from "../../ui/notice.tsx";
import { isOver } from "./life.ts";

export function TaskActions({ task }: { task: AdminTask }) {
  const client = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const show = (changed: AdminTask) => {
    client.setQueryData(["task", task.id], changed);
    void client.invalidateQueries({ queryKey: ["deliveries"] });
  };
  const refresh = useAction({
    mutationFn: () => call(refreshTask(task.id, { tenant: task.tenant })),
    onSuccess: show,
  });
  const fail = useAction({
    mutationFn: () => call(failTask(task.id, { tenant: task.tenant })),
    onSuccess: (changed) => {
      setAsking(false);
      show(changed);
    },
  });
  return (
    <div class="actions">
      <div class="row">
        <button type="button" onClick={() => refresh.mutate()} disabled={refresh.isPending}>
          Refresh
        </button>
        {!isOver(task) && (
          <button type="button" class="danger" onClick={() => setAsking(true)}>
            Fail…
          </button>
        )}
      </div>
      <Problem error={refresh.error} />
      {refresh.isSuccess && <Notice kind="info">Polled just now: {refresh.data.status}.</Notice>}
      {isAsking && (
        <Dialog title="Fail this task?" onClose={() => setAsking(false)}>
          <p>
            It ends as failed at once, and the {showNumber(task.usage.credits_held ?? 0)} credits that it
            holds are given back. Its caller is notified. The upstream may go on with it, and may charge for
            it; nothing comes of that. This cannot be undone.
          </p>
          <Problem error={fail.error} />
          <div class="row">
            <button type="button" class="danger" onClick={() => fail.mutate()} disabled={fail.isPending}>
              Fail the task
            </button>
            <button type="button" class="quiet" onClick={() => setAsking(false)}>
              Leave it
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
