/** The button that has a delivery sent again at once. */
import { useQueryClient } from "@tanstack/preact-query";
import { retryDelivery } from "#gateway";
import { useAction } from "../../ui/action.ts";
import { call } from "../../ui/call.ts";
import "./send-again.css";

export function SendAgain({ id }: { id: string }) {
  const client = useQueryClient();
  const retry = useAction({
    mutationFn: () => call(retryDelivery(id)),
    onSuccess: () => client.invalidateQueries({ queryKey: ["deliveries"] }),
  });
  return (
    <span class="row">
      <button type="button" onClick={() => retry.mutate()} disabled={retry.isPending}>
        Send again
      </button>
      <span aria-live="polite" class="send-outcome">
        {retry.isSuccess && "Asked for: it is sent at once."}
        {retry.isError && <span class="field-error">{retry.error.message}</span>}
      </span>
    </span>
  );
}
