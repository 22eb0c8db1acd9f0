/** What the tests of money share: the operator's calls, the ledger as it is shown, CSV as a spreadsheet reads it. */
import { parse } from "papaparse";
import { expect } from "vitest";
import { bearer, type TestGateway } from "./gateway.ts";

export interface Line {
  at: number;
  type: string;
  amount: number;
  task: string | null;
  reference: string | null;
  note: string | null;
  balance: number;
  held: number;
}

/** Gives credits: 100 by `invoice-1`, unless the body says otherwise. */
export const credit = (gateway: TestGateway, tenantId: string, body: object = {}) =>
  gateway.admin("POST", `/tenants/${tenantId}/credits`, {
    type: "topup",
    amount: 100,
    reference: "invoice-1",
    ...body,
  });

/** A tenant's whole ledger, newest first. */
export async function ledgerOf(gateway: TestGateway, tenantId: string, query = ""): Promise<Line[]> {
  const response = await gateway.admin("GET", `/tenants/${tenantId}/ledger?limit=100&${query}`);
  expect(response.status).toBe(200);
  const { data } = (await response.json()) as { data: Line[] };
  return data;
}

export interface Money {
  balance: number | null;
  held: number;
  available: number | null;
}

export async function moneyOf(gateway: TestGateway, tenantId: string): Promise<Money> {
  const response = await gateway.admin("GET", `/tenants/${tenantId}`);
  const { balance, held, available } = (await response.json()) as Money;
  return { balance, held, available };
}

export const getAs = (gateway: TestGateway, key: string, path: string) =>
  gateway.fetch(path, { headers: bearer(key) });

/** Expects a table as spreadsheets take it, and gives its rows by column. */
export async function csvRows(response: Response): Promise<Record<string, string>[]> {
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(response.headers.get("content-disposition")).toMatch(/^attachment; filename="[\w-]+\.csv"$/);
  expect(response.headers.get("cache-control")).toBe("no-store");
  const text = await response.text();
  expect(text.endsWith("\r\n")).toBe(true);
  const { data, errors } = parse<Record<string, string>>(text, { header: true, skipEmptyLines: true });
  expect(errors).toEqual([]);
  return data;
}

/** A row of JSON as its table shows it. */
export const asCells = (row: object) =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? "" : String(value)]));
