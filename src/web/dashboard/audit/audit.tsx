/** Reconciliation, which checks what must always hold, and the audit log of all changes. */
import { count } from "../../ui/format.ts";
import { Problem } from "../../ui/notice.tsx";
import { Scroller } from "../../ui/scroller.tsx";
import { TaskLink, TenantLink, When } from "../when.tsx";
import { AuditLog } from "./audit-log.tsx";
import { type Discrepancy, useReconciliation } from "./reconciliation.ts";

export function Audit() {
  return (
    <>
      <h1>Audit</h1>
      <Reconciliation />
      <AuditLog />
    </>
  );
}

function Reconciliation() {
  const { problems, tenants, isOver, checkedAt, error, ...actions } = useReconciliation();
  const isSound = problems.length === 0;
  const tone = !isSound ? "bad" : isOver ? "good" : "busy";
  return (
    <section class="panel" aria-label="Reconciliation">
      <div class="row between">
        <h2>Reconciliation</h2>
        <div class="row">
          {!isSound && (
            <button type="button" onClick={actions.repair} disabled={!isOver || actions.isRepairing}>
              Repair now
            </button>
          )}
          <button type="button" onClick={actions.again} disabled={!isOver && !error}>
            Check again
          </button>
        </div>
      </div>
      <div class={`verdict ${tone}`} role="status">
        <strong>{verdictOf(problems.length, isOver)}</strong>
        <span>
          {count(tenants, "tenant")} checked{isOver ? "" : " so far"}
          {isOver && (
            <>
              , <When at={checkedAt} toSecond />
            </>
          )}
        </span>
      </div>
      <Problem error={error} />
      {!isSound && <Problems problems={problems} />}
      <p class="hint">
        Balances against their entries, settings against what tenants' objects have, holds against their
        tasks, the newest pictures against what is stored, erasures against what is there again, and tasks
        that should have ended. What is younger than five minutes is left out. Cron comes to each tenant in
        turn, and settles holds that leaked.
      </p>
    </section>
  );
}

function verdictOf(problems: number, isOver: boolean): string {
  if (problems > 0) return `Something does not agree: ${count(problems, "problem")}`;
  return isOver ? "Everything agrees" : "Being checked";
}

const kinds: Record<Discrepancy["kind"], string> = {
  balance: "Balance",
  settings: "Settings",
  hold: "Hold",
  task: "Task",
  picture: "Picture",
  erasure: "Erasure",
  overdue: "Overdue",
};

function Problems({ problems }: { problems: Discrepancy[] }) {
  return (
    <Scroller label="Problems">
      <table class="roomy">
        <thead>
          <tr>
            <th scope="col">Kind</th>
            <th scope="col">Tenant</th>
            <th scope="col">Task</th>
            <th scope="col">What is wrong</th>
          </tr>
        </thead>
        <tbody>
          {problems.map((problem) => (
            <tr key={JSON.stringify(problem)}>
              <td>{kinds[problem.kind]}</td>
              <td>{problem.tenant && <TenantLink id={problem.tenant} />}</td>
              <td>{problem.subject && <TaskLink id={problem.subject} />}</td>
              <td class="long">{problem.text}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}
