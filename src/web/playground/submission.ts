/** Sending the form. Whatever becomes of the reply, one submission makes one task. */
import { useEffect, useRef, useState } from "preact/hooks";
import { createImage, type Task } from "#gateway";
import { useGate } from "../ui/act.ts";
import { nowMs, randomHex } from "../ui/browser.ts";
import { Refusal } from "../ui/call.ts";
import type { Body } from "./draft.ts";
import { useSession } from "./session.ts";

interface Refused {
  error: unknown;
  /** What was sent. */
  body: Body;
  /** Trying again before that is in vain. */
  untilMs: number | undefined;
}

export function useSubmission(onTask: (task: Task) => void) {
  const { ask } = useSession();
  const [isSending, setSending] = useState(false);
  const [refused, setRefused] = useState<Refused>();
  // The key of a submission whose outcome is not known: the next click asks the gateway for that same task.
  const open = useRef<{ text: string; key: string }>();
  const gate = useGate();
  const secondsLeft = useSecondsUntil(refused?.untilMs);

  const submit = async (body: Body) => {
    if (!gate.enter()) return;
    const text = JSON.stringify(body);
    if (open.current?.text !== text) open.current = { text, key: randomHex(16) };
    setSending(true);
    setRefused(undefined);
    try {
      const task = await ask(createImage(body, { idempotencyKey: open.current.key }));
      open.current = undefined;
      onTask(task);
    } catch (error) {
      if (isOutcome(error)) open.current = undefined;
      const wait = error instanceof Refusal ? error.retryAfterSeconds : null;
      setRefused({ error, body, untilMs: wait === null ? undefined : nowMs() + wait * 1_000 });
    }
    setSending(false);
    gate.open();
  };
  return { submit, isSending, refused, secondsLeft };
}

/** Whether the gateway has said that there is no task. */
function isOutcome(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  return error.status >= 400 && error.status < 500 && error.code !== "idempotency_in_progress";
}

/** Whole seconds until a moment, counting down; 0 once it has come. */
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
