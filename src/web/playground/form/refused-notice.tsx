/** A refusal that belongs to no field: the gateway's words, and the time until another attempt can succeed. */
import { Refusal } from "../../ui/call.ts";
import { showSeconds } from "../../ui/format.ts";
import { Notice, Problem } from "../../ui/notice.tsx";
import "./refused-notice.css";

/** @param secondsLeft The seconds until another attempt can succeed; 0: now. */
export function Refused({ error, secondsLeft }: { error: unknown; secondsLeft: number }) {
  if (!error) return null;
  if (error instanceof Refusal && error.isUnknown)
    return (
      <Notice kind="error">
        It is not known whether this task began. Submit it again, unchanged: if it did, you get that task, and
        it is charged once.
      </Notice>
    );
  if (!(error instanceof Refusal) || error.retryAfterSeconds === null) return <Problem error={error} />;
  if (secondsLeft === 0) return <Notice kind="info">You can try again now.</Notice>;
  // The message ends with the wait at the time of the refusal; the timer below replaces it.
  const reason = error.message.replace(/: try again in .*$/, ".");
  return (
    <div class="notice error">
      <p role="alert">{reason}</p>
      {/* Screen readers do not read a timer at each change. */}
      <p role="timer">You can try again in {showSeconds(secondsLeft)}.</p>
    </div>
  );
}
