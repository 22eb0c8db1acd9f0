/** Sends the form. One submission makes one task, also when its reply is lost. */
import { useEffect, useRef, useState } from "preact/hooks";
import { createImage, type Task } from "#gateway";
import { useGate } from "../../ui/action.ts";
import { nowMs, randomHex } from "../../ui/browser.ts";
import { Refusal } from "../../ui/call.ts";
import { useSession } from "../session.ts";
import type { Body } from "./draft.ts";

interface Refused {
  error: unknown;
  /** The refused request. */
  body: Body;
  /** The time before which another attempt is refused too; undefined: not stated. */
  untilMs: number | undefined;
}

export function useSubmission(onTask: (task: Task) => void) {
  const { ask } = useSession();
  const [isSending, setSending] = useState(false);
  const [refused, setRefused] = useState<Refused>();
  // The idempotency key of a submission whose outcome is not known: the next click gets that same task.
  const unresolved = useRef<{ text: string; key: string }>();
  const gate = useGate();
  const secondsLeft = useSecondsUntil(refused?.untilMs);

  const submit = async (body: Body) => {
    if (!gate.enter()) return;
    const text = JSON.stringify(body);
    if (unresolved.current?.text !== text) unresolved.current = { text, key: randomHex(16) };
    setSending(true);
    setRefused(undefined);
    try {
      const task = await ask(createImage(body, { idempotencyKey: unresolved.current.key }));
      unresolved.current = undefined;
      onTask(task);
    } catch (error) {
      if (isOutcome(error)) unresolved.current = undefined;
      const wait = error instanceof Refusal ? error.retryAfterSeconds : null;
      setRefused({ error, body, untilMs: wait === null ? undefined : nowMs() + wait * 1_000 });
    }
    setSending(false);
    gate.open();
  };
  return { submit, isSending, refused, secondsLeft };
}

/** Whether the refusal says that no task was made. */
function isOutcome(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  return error.status >= 400 && error.status < 500 && error.code !== "idempotency_in_progress";
}

/** Whole seconds until a time, counting down; 0 from then on. */
function useSecondsUntil(untilMs: number | undefined): number {
  const [, redraw] = useState(0);
  useEffect(() => {
    if (untilMs === undefined) return;
    const timer = setInterval(() => {
      redraw(nowMs());
      if (nowMs() >= untilMs) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [untilMs]);
  return untilMs === undefined ? 0 : Math.max(0, Math.ceil((untilMs - nowMs()) / 1_000));
}
