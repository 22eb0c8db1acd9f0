/** A state as a word, and a colour for those who see it. */

const tones: Record<string, string> = {
  completed: "good",
  active: "good",
  delivered: "good",
  failed: "bad",
  suspended: "bad",
  cancelled: "dull",
  revoked: "dull",
};

export function Status({ status }: { status: string }) {
  return <span class={`status ${tones[status] ?? "busy"}`}>{status}</span>;
}
