/** A refusal that belongs to no field: in the gateway's words, and when it pays to try again. */
import { Refusal } from "../ui/call.ts";
import { showSeconds } from "../ui/format.ts";
import { Notice, Problem } from "../ui/notice.tsx";

/** @param secondsLeft Until it pays to try again. */
export function Refused({ error, secondsLeft }: { error: unknown; secondsLeft: number }) {
  if (!error) return null;
  if (!(error instanceof Refusal) || error.retryAfterSeconds === null) return <Problem error={error} />;
  if (secondsLeft === 0) return <Notice kind="info">You can try again now.</Notice>;
  // The sentence ends with how long to wait as it was then; the line below counts.
  const reason = error.message.replace(/: try again in .*$/, ".");
  return (
    <div class="notice error">
      <p role="alert">{reason}</p>
      {/* A timer is not read out each time that it changes. */}
      <p role="timer">You can try again in {showSeconds(secondsLeft)}.</p>
    </div>
  );
}
