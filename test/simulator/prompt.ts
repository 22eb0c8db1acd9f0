/**
 * Scripts for people: `[sim:name]` or `[sim:name=arg]` inside a prompt, so that a fault can be attempted with curl alone.
 * `*K` at the end of a mark (`[sim:429*3]`) sets for how many calls its gate holds.
 * An unknown name or a bad argument is refused by the submit: a typo must not pass a test.
 */
import { PICTURE_NAMES } from "./picture-names.ts";
import { type Rule, RuleSchema } from "./script.ts";
import { TASK_NAMES } from "./task-names.ts";

export interface Name {
  means: string;
  /** The argument when none is given. */
  arg: string;
  /** For how many calls its gates hold; undefined: always. */
  times: number | undefined;
  rules(arg: string): unknown[];
}

export const NAMES: ReadonlyMap<string, Name> = new Map(Object.entries({ ...TASK_NAMES, ...PICTURE_NAMES }));

export type PromptRules = { ok: true; rules: Rule[] } | { ok: false; message: string };

const MARK = /\[sim:([a-z0-9-]+)(?:=([^\]*]*))?(?:\*([1-9]\d{0,3}))?\]/g;

export function promptRules(prompt: string): PromptRules {
  const rules: Rule[] = [];
  for (const [mark, name = "", arg, times] of prompt.matchAll(MARK)) {
    const entry = NAMES.get(name);
    if (entry === undefined) return { ok: false, message: `unknown ${mark}` };
    for (const draft of entry.rules(arg ?? entry.arg)) {
      const rule = RuleSchema.safeParse(draft);
      if (!rule.success) return { ok: false, message: `bad argument in ${mark}: ${rule.error.message}` };
      addRule(rules, rule.data, times === undefined ? entry.times : Number(times));
    }
  }
  return { ok: true, rules };
}

/** Several marks together describe one life and one way to send, so shapers melt into one. */
function addRule(rules: Rule[], rule: Rule, times: number | undefined): void {
  const kind = rule.do.kind;
  if (kind !== "plan" && kind !== "serve") {
    rules.push(times === undefined ? rule : { ...rule, times });
    return;
  }
  const same = rules.find((other) => other.do.kind === kind);
  if (same === undefined) rules.push(rule);
  else Object.assign(same.do, rule.do);
}
