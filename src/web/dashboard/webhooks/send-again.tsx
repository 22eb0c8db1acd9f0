/** Has a delivery tried again at once, and says what came of asking. */
import { useQueryClient } from "@tanstack/preact-query";
import { retryDelivery } from "#gateway";
import { useAct } from "../../ui/act.ts";
import { call } from "../../ui/call.ts";

export function SendAgain({ id }: { id: string }) {
  const client = useQueryClient();
  const retry = useAct({
    mutationFn: () => call(retryDelivery(id)),
    onSuccess: () => client.invalidateQueries({ queryKey: ["deliveries"] }),
  });
  return (
    <span class="row">
      <button type="button" onClick={() => retry.mutate()} disabled={retry.isPending}>
        Send again
      </button>
      <span aria-live="polite" class="said">
        {retry.isSuccess && "Asked for: it is tried at once."}
        {retry.isError && <span class="field-error">{retry.error.message}</span>}
      </span>
    </span>
  );
}
