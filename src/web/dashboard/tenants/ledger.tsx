/** Every movement of a tenant's credits. */
import { Link } from "wouter-preact";
import { getTenantLedger, type LedgerEntry } from "#gateway";
import { call } from "../../ui/call.ts";
import { showNumber, showTime } from "../../ui/format.ts";
import { Problem } from "../../ui/notice.tsx";
import { PageTurner, usePages } from "../../ui/pages.tsx";
import { tenantQuery } from "./acts.ts";
import { CsvButton } from "./csv-button.tsx";
import { Nothing, Panel, Scroller } from "./panel.tsx";

export function Ledger({ id }: { id: string }) {
  const { rows, error, isLoading, ...pages } = usePages<LedgerEntry>(
    tenantQuery(id, "ledger"),
    (cursor) => call(getTenantLedger(id, { limit: 10, ...(cursor !== undefined && { cursor }) })),
    10_000,
  );
  const csv = (
    <CsvButton
      name={`ledger-${id}`}
      read={(headers) => getTenantLedger(id, { format: "csv" }, { headers })}
    />
  );
  return (
    <Panel title="Ledger" isWide actions={rows.length > 0 && csv}>
      <Problem error={error} />
      {!isLoading && !error && rows.length === 0 && <Nothing>No credits have moved yet.</Nothing>}
      {rows.length > 0 && (
        <Scroller label="Ledger">
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
                <LedgerRow key={`${entry.at} ${index}`} entry={entry} />
              ))}
            </tbody>
          </table>
        </Scroller>
      )}
      <PageTurner {...pages} />
    </Panel>
  );
}

function LedgerRow({ entry }: { entry: LedgerEntry }) {
  const { at, type, amount, task, reference, note, balance, held } = entry;
  return (
    <tr>
      <td>{showTime(at)}</td>
      <td>{type}</td>
      <td class="number">{showNumber(amount)}</td>
      <td class="long">
        {task !== null && (
          <Link class="mono" href={`/tasks/${task}`}>
            {task}
          </Link>
        )}
        {reference !== null && <span class="mono">{reference}</span>}
        {note !== null && <small class="soft note">{note}</small>}
      </td>
      <td class="number">{showNumber(balance)}</td>
      <td class="number">{showNumber(held)}</td>
    </tr>
  );
}
