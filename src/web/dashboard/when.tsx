/** Times, and links to tenants and tasks, as every section shows them. */
import { Link } from "wouter-preact";
import { showTime } from "../ui/format.ts";

const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** A time. @param at Unix seconds. @param toSecond Shows seconds too. */
export function When({ at, toSecond = false }: { at: number; toSecond?: boolean }) {
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={exact.format(at * 1000)}>
      {toSecond ? exact.format(at * 1000) : showTime(at)}
    </time>
  );
}

export function TenantLink({ id }: { id: string }) {
  return <Link href={`/tenants/${encodeURIComponent(id)}`}>{id}</Link>;
}

/** @param tenant Whose it is: by it an archived task is found among very many tenants'. */
export function TaskLink({ id, tenant, children }: { id: string; tenant?: string; children?: string }) {
  const of = tenant === undefined ? "" : `?tenant=${encodeURIComponent(tenant)}`;
  return (
    <Link href={`/tasks/${encodeURIComponent(id)}${of}`} class={children ? undefined : "mono"}>
      {children ?? id}
    </Link>
  );
}
