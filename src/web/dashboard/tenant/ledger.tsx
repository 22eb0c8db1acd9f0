/** A tenant's ledger: every movement of its credits. */
import { getTenantLedger, type LedgerEntry } from "#gateway";
import { call } from "../../ui/call.ts";
import { showNumber, showTime } from "../../ui/format.ts";
import { PageTurner, usePages } from "../../ui/list-pages.tsx";
import { Problem } from "../../ui/notice.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { Panel, Placeholder } from "../panel.tsx";
import { TaskLink } from "../when.tsx";
import { CsvButton } from "./csv-button.tsx";
import { tenantQuery } from "./tenant-actions.ts";
import "./ledger.css";

export function Ledger({ id, isMetered }: { id: string; isMetered: boolean }) {
  const { rows, error, isLoading, ...pages } = usePages<LedgerEntry>(
    tenantQuery(id, "ledger"),
    (cursor) => call(getTenantLedger(id, { limit: 10, ...(cursor !== undefined && { cursor }) })),
    10_000,
  );
  const csv = (
    <CsvButton
      read={(headers) => ({
        name: `ledger-${id}`,
        table: getTenantLedger(id, { format: "csv" }, { headers }),
      })}
    />
  );
  return (
    <Panel title="Ledger" isWide actions={rows.length > 0 && csv}>
      <Problem error={error} />
      {!isLoading && !error && rows.length === 0 && <Placeholder>No credits have moved yet.</Placeholder>}
      {rows.length > 0 && (
        <Scroller label="Table of the ledger">
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Type</th>
                <th scope="col" class="number">
                  Amount
                </th>
                <th scope="col">For</th>
                <th scope="col" class="number">
                  Balance
                </th>
                <th scope="col" class="number">
                  Held
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((entry, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: entries have no id, and the rows keep no state.
                <LedgerRow key={`${entry.at} ${index}`} entry={entry} tenant={id} />
              ))}
            </tbody>
          </table>
        </Scroller>
      )}
      {isMetered && rows.length > 0 && (
        <p class="hint">
          Metered: the balance is what it was given less what it used, so it goes below zero as it is used.
        </p>
      )}
      <PageTurner {...pages} />
    </Panel>
  );
}

const signed = new Intl.NumberFormat("en", { signDisplay: "exceptZero" });

/** The amount. It has a sign if it moves the balance, which holds and releases do not. */
function movementOf({ type, amount }: LedgerEntry) {
  if (type === "hold") return <span class="soft">{showNumber(amount)} held</span>;
  if (type === "release") return <span class="soft">{showNumber(amount)} released</span>;
  return signed.format(type === "charge" ? -amount : amount).replace("-", "\u2212");
}

function LedgerRow({ entry, tenant }: { entry: LedgerEntry; tenant: string }) {
  const { at, type, task, reference, note, balance, held } = entry;
  return (
    <tr>
      <td>{showTime(at)}</td>
      <td>{type}</td>
      <td class="number">{movementOf(entry)}</td>
      <td class="long">
        {task !== null && <TaskLink id={task} tenant={tenant} />}
        {reference !== null && <span class="mono">{reference}</span>}
        {note !== null && <small class="soft note">{note}</small>}
      </td>
      <td class="number">{showNumber(balance).replace("-", "\u2212")}</td>
      <td class="number">{showNumber(held)}</td>
    </tr>
  );
}
