/** A state as a word and a colour. */
import "./status.css";

const tones: Record<string, string> = {
  completed: "good",
  active: "good",
  delivered: "good",
  on: "good",
  failed: "bad",
  suspended: "bad",
  off: "bad",
  cancelled: "dull",
  dropped: "dull",
  revoked: "dull",
  expired: "dull",
};

export function Status({ status }: { status: string }) {
  return <span class={`status ${tones[status] ?? "busy"}`}>{status}</span>;
}
