/** Processes that meet over one task: one is held with the upstream's reply while others go on. */
import { env } from "cloudflare:workers";
import type { Task } from "../../src/domain/task.ts";
import { type Line, ledgerOf } from "./credits.ts";
import { startGateway, storedKeys, submitTask, type TestGateway } from "./gateway.ts";
import { taskOf } from "./seed.ts";

/** A process whose first poll has its reply, and records it only after `meanwhile`. */
export function heldAtItsPoll(gateway: TestGateway, meanwhile: () => Promise<unknown>): TestGateway {
  let held = false;
  return startGateway({
    beside: gateway,
    around: async (name, call) => {
      const result = await call();
      if (name === "fetch GET" && !held) {
        held = true;
        await meanwhile();
      }
      return result;
    },
  });
}

/** A prepaid tenant's task of two pictures that the upstream has taken. */
export async function submitted(prompt: string) {
  const gateway = startGateway();
  const tenant = await gateway.makeTenant({ balance: 500 });
  const { id } = await submitTask(gateway, tenant.key, { prompt, n: 2 });
  return { gateway, key: tenant.key, tenantId: tenant.id, id };
}

/** All that is kept of a task: its row, its tenant's ledger, oldest line first, and the objects of its pictures. */
export interface Kept {
  task: Task;
  ledger: Line[];
  objects: string[];
}

export async function kept(gateway: TestGateway, tenantId: string, id: string): Promise<Kept> {
  const task = await taskOf(id);
  const ledger = (await ledgerOf(gateway, tenantId)).toReversed();
  return { task, ledger, objects: await storedKeys() };
}

/** The lines that money moved by. */
export const lineTypes = ({ ledger }: Kept) => ledger.map(({ type }) => type);

export async function deleteObjects(): Promise<void> {
  const keys = await storedKeys();
  if (keys.length > 0) await env.IMAGES.delete(keys);
}
