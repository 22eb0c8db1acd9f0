/** A tenant of the built Worker with its money in sight: what the tests of paying clients share. */
import type { BuiltGateway, ShownTask } from "./built-gateway.ts";

export interface PaidTenant {
  id: string;
  key: string;
  money(): Promise<{ balance: number; held: number }>;
  tasks(): Promise<ShownTask[]>;
  /** Types of all lines of the ledger about tasks, newest first. */
  charges(): Promise<{ type: string; task: string | null; amount: number }[]>;
}

/** Makes a tenant with 500 credits. */
export async function payingTenant(gateway: BuiltGateway, body: object = {}): Promise<PaidTenant> {
  const ask = async <T>(method: string, path: string, sent?: object): Promise<T> => {
    const response = await gateway.admin(method, path, sent);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const { id } = await ask<{ id: string }>("POST", "/tenants", { name: "Paying", balance: 500, ...body });
  const made = { name: "e2e", kind: "secret" };
  const { key } = await ask<{ key: string }>("POST", `/tenants/${id}/keys`, made);
  return {
    id,
    key,
    async money() {
      const { balance, held } = await ask<{ balance: number; held: number }>("GET", `/tenants/${id}`);
      return { balance, held };
    },
    async tasks() {
      // The operator's list, which may be read as often as a test asks for it.
      return (await ask<{ data: ShownTask[] }>("GET", `/tasks?tenant=${id}`)).data;
    },
    async charges() {
      type Line = { type: string; task: string | null; amount: number };
      const { data } = await ask<{ data: Line[] }>("GET", `/tenants/${id}/ledger`);
      return data.filter(({ task }) => task !== null);
    },
  };
}
