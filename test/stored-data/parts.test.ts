/**
 * Yesterday's parts in R2 are read: bytes that the first version with an archive wrote. They outlive every version, for nothing
 * writes them anew, so a change of their form keeps reading this one.
 */
import { expect, it } from "vitest";
import { beforeFirstPart, readPart, verifyPart } from "../../src/domain/ledger-part.ts";
import { readTaskPart } from "../../src/domain/task-part.ts";
import { readFixtures } from "./opening/restore.ts";

/** Of a ledger: a line of each type. */
const ledgerBytes = [
  "H4sIAAAAAAAAA73SQU7DMBAF0D2nqGbtSrbTpI1vwIIVvYDbTBJobAd7DKoqDsQ5uBhKKlIjosIGdiN7Rv9p7BMQWm0JFOi9",
  "QWBgo9mhByUY6JrQ3+MTKM4g9ls31gWD3uPzg4sBFMDrzQnCcD4M0F0AJdZlIUQp5Srf5Azo2CMoINfHHhho4+KQJzhnQDoc",
  "bitQNnYdA481erT7od35Cv1SDCBH+Nmx050e78fpFrsKFJ8Eck5QTILWdVUCkEn+WCy5MBvfeB8aqtFkrdTETVNk+e6FDjrA",
  "F+EZ9BNOXnTZnG496fat9g2mC8r/yje8ypmXT7rVnG4z6Tx2qEPK+wfdZXf5nK5MdHW06duur3ytK9Gl/B5dzESXfIrW1WMM",
  "ZNBSEp/9Mh62rbaHxdFFtnh/g1SSLuEDqfr/l6UDAAA=",
].join("");
const ledgerPart = {
  number: 1,
  afterSeq: 0,
  upToSeq: 6,
  key: "ledger/acme/1",
  lines: 6,
  sha256: "ed03b25e435b3b94de84c129500d8e2b1885d29d790ab65b86a1ef258f3acf04",
  fromMs: 1796119224585,
  toMs: 1796119224590,
  credited: 110,
  charged: 15,
  held: 0,
};
const task = "task-01m8rgrrsgtfem3h2at0mg635bwtkas";

/** Of an archive: a completed, a failed and a cancelled task of the fixture that has the same columns. */
const taskBytes = [
  "H4sIAAAAAAAAA7WV3XKjOBCF7/cpUn2NYySB+HmOvRumXEJqQAYEloSxncq7b4FdyWQnziS12RsKqVuii3O+7ifQCnLwwrWb",
  "kPSpra11ta+wZw0VPuxrzuJy9q1wEIBHI4zfrUeE7BECaPF8Xbd43lQHnxzT0zn1UXKq0hICsHiY0N3OWDxsakrIkUte+mZO",
  "+7Q6STlDAIPVtTaQQ+P9mG+3tfA4i/MjnkQ/dsuXnBceIQc5LBse1XJqRAN5GMARrdODgTwKoB8UdpDDLMyGPiYb3Yt6uUCb",
  "cfKQw1MBox360ReQFyAeykH4AoIC1sTdZDtXQP6juFPKttIduvW5aR2hWY8mYe2eKT+XjjSXiEo5P46mLuBnUIApICfPEECP",
  "XijhxVLCskajdpNDCzkctdN+sJsEAhitlriTFpX2DnIWBiAtCo9q1zvISZJxQjJKY8J4AAqF6rTB1xil6S1WaaNd8+9zGWdJ",
  "AGrCX7fjKGOcBCC8x35cvksCmIxE64W+/uJpdN6i6HevjpmMrjSqzWtNm0wmJVdxVfFFsqnstX+n8ihenFFZ/L28a3C0g0Tn",
  "tKnXSkY71BbdkheGAaDzul//iEM5GOUgp8FVPgc5/HgqQKtVXd3Xm4sVLallKMbD3lS+9SdGmJ0PJ7mqvvpqTXZ+sKhum9fX",
  "/KkAORiPxv99HvF2p6hxu+obFDBr5ZtiMV4BDeq68bdFefa4GInEyXJhI2jM1/OKR0xgKAVLBVYkDCUqSnkpGOVVrEgo0yoJ",
  "IyQsC6soQ56FSZmRiBIss5TRAp6ff8IvgnTatG6Hp1HbV1FpGHOaxSwKAK0d7E4OCiE3U9cF0GilbuQ0Q6d2ZurLxYh8SRZu",
  "sgtoZjALNn5o0dxEH9oN2dNzGpPL4RxVsSeX1p9ieP7r6fdG4lijWiF9m3he0b2P1DHiF4y+qZG4mslElUfJo5SJVp4Tor7U",
  "SCqhu2/rIl334IfhoRO2xtUXC/b0Y+yvWnya9yhO7vK+xt7lnYXh4oH/i3eWZlRwHkfZB7xHnN3nfQ3e5T3L/oz7p2Hg4VsY",
  "VsyXnv9ihXtgkI/JWJR8jwE/Zmqf+nqmVc8Pl4jVp1gd4op+EwN8JjMxfdhHSdIcmv3s0uPXhqkwErt7GND/MEzXsRcUIEXX",
  "lUK2y1xdc5aaXL7dNsPQupeh+lJIAd8ITZqSMLsDzS32LjRpeh2ub6FhUZJl7PPQXEt9C8V17y0L4Vv/h7/6//1pd73lswRc",
  "s78wBcgnzP4PJkNIrjoKAAA=",
].join("");

const bytesOf = (text: string): ArrayBuffer => Uint8Array.fromBase64(text).buffer;

it("a part of a ledger has its lines, and holds", async () => {
  const bytes = bytesOf(ledgerBytes);
  const lines = await readPart(ledgerPart, bytes);
  expect(lines.map(({ seq, type, amount, balance, held }) => [seq, type, amount, balance, held])).toEqual([
    [1, "topup", 100, 100, 0],
    [2, "hold", 20, 100, 20],
    [3, "charge", 15, 85, 5],
    [4, "release", 5, 85, 0],
    [5, "refund", 7, 92, 0],
    [6, "adjustment", 3, 95, 0],
  ]);
  const said = lines.map(({ atMs, taskId, reference, note }) => [
    atMs - ledgerPart.fromMs,
    taskId,
    reference,
    note,
  ]);
  expect(said).toEqual([
    [0, null, "order-1", null],
    [1, task, null, null],
    [2, task, null, null],
    [3, task, null, null],
    [4, null, null, null],
    [5, null, null, "Thank you, \u00e9"],
  ]);
  expect(await verifyPart(ledgerPart, beforeFirstPart, bytes)).toEqual([]);
});

it("a part of an archive has its tasks' rows", async () => {
  const stored = readFixtures().find(({ version }) => version === "0006-years")?.d1.tables.tasks;
  const rows = stored?.rows.map((row) => Object.fromEntries(stored.columns.map((name, i) => [name, row[i]])));
  const read = await readTaskPart(bytesOf(taskBytes));
  expect(read?.map(({ state }) => state)).toEqual(["completed", "failed", "cancelled"]);
  expect(read).toEqual(read?.map(({ id }) => rows?.find((row) => row.id === id)));
});
