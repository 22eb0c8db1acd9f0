/**
 * Which rule holds for a call. It keeps what is left of each rule's `times`; everything else is in the rules.
 * Rules that were scripted come before those in the prompt, newer before older.
 */
import { promptRules } from "./prompt.ts";
import {
  type Gate,
  isShaper,
  matches,
  type Occasion,
  type Rule,
  RuleSchema,
  type Shaper,
  type Subject,
} from "./script.ts";

export interface Rulebook {
  add(rules: readonly unknown[]): void;
  /** What happens to this call on the wire. Counts as one use. */
  gate<On extends Occasion>(on: On, subject: Subject): Gate<On> | undefined;
  /** How the task lives, or how the picture is sent. Counts as one use. */
  shaper<On extends Occasion>(on: On, subject: Subject): Shaper<On> | undefined;
}

type RuleWith<Do> = Rule & { do: Do };

function isGateRule<On extends Occasion>(rule: Rule, on: On): rule is RuleWith<Gate<On>> {
  return rule.on === on && !isShaper(rule);
}

function isShaperRule<On extends Occasion>(rule: Rule, on: On): rule is RuleWith<Shaper<On>> {
  return rule.on === on && isShaper(rule);
}

export function createRulebook(): Rulebook {
  const scripted: { rule: Rule; left: number }[] = [];
  const promptUses = new Map<string, number>();

  function takeScripted<Wanted extends Rule>(
    wanted: (rule: Rule) => rule is Wanted,
    subject: Subject,
  ): Wanted | undefined {
    for (const entry of scripted.toReversed()) {
      const { rule, left } = entry;
      if (left > 0 && wanted(rule) && matches(rule, subject)) {
        entry.left = left - 1;
        return rule;
      }
    }
    return undefined;
  }

  // A prompt is sent again and again by people trying things, so its counts belong to the one submit or task.
  function takeFromPrompt<Wanted extends Rule>(
    wanted: (rule: Rule) => rule is Wanted,
    subject: Subject,
  ): Wanted | undefined {
    const parsed = promptRules(subject.prompt ?? "");
    if (!parsed.ok) return undefined;
    for (const [index, rule] of [...parsed.rules.entries()].toReversed()) {
      if (!wanted(rule) || !matches(rule, subject)) continue;
      if (rule.times === undefined) return rule;
      const counter = `${index} ${subject.task ?? ""} ${subject.idempotencyKey ?? ""} ${subject.prompt}`;
      const used = promptUses.get(counter) ?? 0;
      if (used >= rule.times) continue;
      promptUses.set(counter, used + 1);
      return rule;
    }
    return undefined;
  }

  return {
    add(rules) {
      const parsed = rules.map((rule) => RuleSchema.parse(rule));
      scripted.push(...parsed.map((rule) => ({ rule, left: rule.times ?? Number.POSITIVE_INFINITY })));
    },
    gate<On extends Occasion>(on: On, subject: Subject) {
      const wanted = (rule: Rule): rule is RuleWith<Gate<On>> => isGateRule(rule, on);
      return (takeScripted(wanted, subject) ?? takeFromPrompt(wanted, subject))?.do;
    },
    shaper<On extends Occasion>(on: On, subject: Subject) {
      const wanted = (rule: Rule): rule is RuleWith<Shaper<On>> => isShaperRule(rule, on);
      return (takeScripted(wanted, subject) ?? takeFromPrompt(wanted, subject))?.do;
    },
  };
}
