/** Changes to a tenant. After each, what is on the screen is read again, so that it is what the server has. */
import { useQueryClient } from "@tanstack/preact-query";
import { changeTenant } from "#gateway";
import { useAct } from "../../ui/act.ts";
import { call } from "../../ui/call.ts";

/** Names what was read of a tenant; a change to it outdates all of that. */
export const tenantQuery = (id: string, ...part: unknown[]): unknown[] => ["tenant", id, ...part];
/** Names the list. */
export const tenantsQuery: unknown[] = ["tenants"];

/**
 * @param act Is given all that it sends: one that read it from around itself could send what was there a moment before.
 * @param onDone Runs when the change is made and what it changed has been read again.
 */
export function useTenantAct<Given = void, Answer = unknown>(
  id: string,
  act: (given: Given) => Promise<Answer>,
  onDone?: (answer: Answer) => void,
) {
  const client = useQueryClient();
  return useAct({
    mutationFn: act,
    // A reply may hold a key that is shown once: it must not outlive the place that shows it.
    gcTime: 0,
    onSuccess: async (answer) => {
      await Promise.all([
        client.invalidateQueries({ queryKey: tenantQuery(id) }),
        client.invalidateQueries({ queryKey: tenantsQuery }),
      ]);
      onDone?.(answer);
    },
  });
}

export type TenantChange = Parameters<typeof changeTenant>[1];

export function useTenantChange(id: string, onDone?: () => void) {
  return useTenantAct(id, (change: TenantChange) => call(changeTenant(id, change)), onDone);
}
