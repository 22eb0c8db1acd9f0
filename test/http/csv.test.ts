/** Tables for spreadsheets: text that a caller wrote stays text in them, and never runs as a formula. */
import { describe, expect, it } from "vitest";
import { credit, csvRows, getAs } from "../helpers/credits.ts";
import { startGateway, submitTask } from "../helpers/gateway.ts";

const gateway = startGateway();

describe("a table that a spreadsheet opens", () => {
  const hostile = [
    "=cmd|' /C calc'!A0",
    "+1+cmd()",
    "-1+cmd()",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
  ];
  const harmless = ['a, b; "c"', "two\nlines", "1-2", "a=b", " ", "me@example.org"];

  it.each([...hostile, ...harmless])("runs no note of the ledger, and keeps its text: %j", async (note) => {
    const { id, key } = await gateway.makeTenant();
    await credit(gateway, id, { note });
    for (const reply of [
      await gateway.admin("GET", `/tenants/${id}/ledger?format=csv`),
      await getAs(gateway, key, "/v1/ledger?format=csv"),
    ]) {
      const [row] = await csvRows(reply);
      expect(row?.note).toBe(hostile.includes(note) ? `'${note}` : note);
    }
  });

  it("quotes what a program would trim or split, and ends each line as RFC 4180 says", async () => {
    const { id } = await gateway.makeTenant();
    await credit(gateway, id, { note: " =1+1", reference: 'a, "b"' });
    const reply = await gateway.admin("GET", `/tenants/${id}/ledger?format=csv`);
    const [columns, line, ...rest] = (await reply.text()).split("\r\n");
    expect(columns).toBe("at,at_utc,type,amount,task,reference,note,balance,held");
    expect(line).toMatch(/^\d+,\d{4}-\d\d-\d\dT[\d:.]+Z,topup,100,,"a, ""b"""," =1\+1",100,0$/);
    expect(rest).toEqual([""]);
  });

  it("begins with the mark by which they know UTF-8", async () => {
    const { id, key } = await gateway.makeTenant();
    await credit(gateway, id, { note: "发票" });
    for (const path of ["/v1/ledger?format=csv", "/v1/usage?format=csv"]) {
      const bytes = new Uint8Array(await (await getAs(gateway, key, path)).arrayBuffer());
      expect([...bytes.slice(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
    }
    const [row] = await csvRows(await getAs(gateway, key, "/v1/ledger?format=csv"));
    expect(row?.note).toBe("发票");
  });

  it("runs no reference, and leaves negative amounts numbers", async () => {
    const { id } = await gateway.makeTenant();
    await credit(gateway, id, { type: "adjustment", amount: -5, reference: '=HYPERLINK("x","y")' });
    const [row] = await csvRows(await gateway.admin("GET", `/tenants/${id}/ledger?format=csv`));
    expect(row).toMatchObject({ amount: "-5", balance: "-5", reference: `'=HYPERLINK("x","y")` });
  });

  it("runs no tenant's id, which may begin with a minus", async () => {
    const { key } = await gateway.makeTenant({ id: "-1-1" });
    await submitTask(gateway, key);
    const rows = await csvRows(await gateway.admin("GET", "/usage?format=csv&group=tenant&tenant=-1-1"));
    expect(rows).toEqual([{ tenant: "'-1-1", tasks: "1", images: "0", credits: "0" }]);
  });
});
