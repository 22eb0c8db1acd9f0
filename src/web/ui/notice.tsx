/** A message of the page. An error interrupts a screen reader, other messages wait for it. */
import type { ComponentChildren } from "preact";
import { Refusal } from "./call.ts";
import "./notice.css";

export function Notice({ kind, children }: { kind: "error" | "info" | "done"; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      {children}
    </div>
  );
}

/** An error in the gateway's words, with the id under which the operator finds the request. */
export function Problem({ error }: { error: unknown }) {
  if (!error) return null;
  const known = error instanceof Refusal ? error : undefined;
  return (
    <Notice kind="error">
      {known?.message ?? "The page has failed. Reload it; what is under way goes on without it."}
      {known?.requestId && <small class="request-id">Request {known.requestId}</small>}
    </Notice>
  );
}
