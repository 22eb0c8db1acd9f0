/** Changes to a tenant. After each change the page reads the tenant again, so that it shows the server's state. */
import { useQueryClient } from "@tanstack/preact-query";
import { changeTenant } from "#gateway";
import { useAction } from "../../ui/action.ts";
import { call } from "../../ui/call.ts";

/** The query key of a tenant's data. A change of the tenant invalidates all data under it. */
export const tenantQuery = (id: string, ...part: unknown[]): unknown[] => ["tenant", id, ...part];
/** The query key of the list of tenants. */
export const tenantsQuery: unknown[] = ["tenants"];

/**
 * @param send Sends the change. Its parameter holds all that it sends: a value of the surrounding component could be that
 *   of an earlier drawing.
 * @param onDone Runs once the change is made and the tenant is read again.
 */
export function useTenantAction<Given = void, Answer = unknown>(
  id: string,
  send: (given: Given) => Promise<Answer>,
  onDone?: (answer: Answer) => void,
) {
  const client = useQueryClient();
  return useAction({
    mutationFn: send,
    // A reply may hold a key that is shown once: it must not outlive the dialog that shows it.
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
  return useTenantAction(id, (change: TenantChange) => call(changeTenant(id, change)), onDone);
}
