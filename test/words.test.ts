/**
 * Words that the project has left for the field's: `docs/glossary.md` has those that it uses. Migrations, fixtures and
 * the column of former log events keep what they had, since they describe data that exists.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What is not searched: data that exists, what is generated, and this list. */
const spared = [
  /^src\/d1\/migrations\//,
  /^src\/tenant\/migrations\.ts$/,
  /^test\/tenant\/migrate\.test\.ts$/,
  /^test\/stored-data\/\d{4}-/,
  /^test\/(words|documents)\.test\.ts$/,
];

interface Former {
  words: RegExp;
  now: string;
  /** Where the word stands in another sense, or is part of the contract. */
  allowed?: RegExp[];
}

const former: Former[] = [
  {
    words: /\b(nobody|somebody|whoever|anybody)\b/gi,
    now: "the actor's name: caller, reader, sender, operator",
    allowed: [/'nobody wants it any more'/, /"nobody wants it any more"/],
  },
  {
    words: /\b(looked|looking) at\b|\blooks? at\b|\b(a|last|first|next|each|of|no|one) looks?\b(?!-)/gi,
    now: "poll",
  },
  { words: /\w*(lookedAt|doneLook|runningLook|ItsLook|PerLook)\w*/g, now: "poll" },
  {
    words: /\bwatch(es|ed|ing|ers?)?\b|\w*[wW]atchBindings\w*|\bWatch\w+/g,
    now: "wait, stream or record",
    allowed: [/watch_dir/, /watch: verbose/, /, watch it being made/],
  },
  { words: /\b(told|untold|telling)\b|\w+Told\w*|\w*ToldTenant\w*/gi, now: "notified, sent, shown" },
  { words: /\btells\b/gi, now: "says, shows, returns" },
  { words: /\bout[- ]of[- ]reach\b|\bOutOfReach\b/gi, now: "unavailable" },
  {
    words: /\b(acts|chores|pieces?)\b|\w+(Acts|Pieces?|Chores)\b|\bchores_failed\b|\bpiece_failed\b/g,
    now: "audit log, maintenance, work items",
    allowed: [
      /acts_limit|acts_cursor|\bacts: |\.acts\b|\{ acts \}|await acts\(\)|const acts =|acts\.data/,
      /\| `(chores_failed|piece_failed)` \|$/,
    ],
  },
  {
    words: /\bhand(s|ed)? (it |them |again )?over\b|\bhandedOver\b|\bhand-over\b|\bnot_handed_over\b/gi,
    now: "enqueue",
    allowed: [/\| `not_handed_over` \|$/],
  },
  {
    words:
      /\b(the|a|an|first|next|last|third|tenth|each|own|later|another) (try|tries)\b|\btries of\b|\bof tries\b/gi,
    now: "attempt",
  },
  {
    words: /\breveal\w*|\bsick\b|\bsameness\b|\btwins?\b|\brepetitions?\b/gi,
    now: "unhide, failing, replay, idempotency",
    allowed: [/know repetitions by it/],
  },
  { words: /\berased (=|IS) ?[012]\b|\berased:? [012]\b|\berased_to\b/gi, now: "erasure, retention_cursor" },
  { words: /\b(weighs?|weighed|weighing)\b/gi, now: "check limits" },
  { words: /\b(meters|\w+Meters|meters\w+)\b/g, now: "usage counters" },
  { words: /\bbooks?\b|\w+Book\b|\bbook[A-Z]\w*/g, now: "tenant state, ledger" },
  {
    words: /\bscales\b/gi,
    now: "admission context",
    allowed: [/^src\/web\/ui\/chart\/bars\.ts: +scales: \{/],
  },
  { words: /\b[gG]round\b/g, now: "admission context", allowed: [/--(good-|bad-|busy-)?ground\b/] },
  {
    words: /\b(bury|buries|buried|wipe[sd]?|wiping|forget[A-Z]\w*|forgets|forgotten)\b|\bisForgotten\b/g,
    now: "tombstone, redact, delete",
  },
  { words: /(?<![\w-])rests\b|\brests_until_ms\b|\brestsUntilMs\b/g, now: "back-off" },
  {
    words: /\blinks? (that )?(die|dies|died)\b|\blinksDieMs\b|\blinks_die_ms\b|\bdies with (the|its) key\b/gi,
    now: "expire, end",
  },
  {
    words:
      /\bstatement(s)?\.csv\b|\btenant's statement(?! fits)|\bledger's statement\b|\bstatements? of the ledger\b/gi,
    now: "ledger listing",
  },
  { words: /\bDeps\b|\bdeps\b(?!\.optimizer)|\bsrc\/store\b/g, now: "invocation, d1" },
  {
    words: /\b(not_checked|place_not_left|unsound)\b/g,
    now: "not_reconciled, file_hold_not_released, discrepancy",
    allowed: [/\| `(not_checked|place_not_left|unsound)` \|$/],
  },
];

const inFolder = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(ts|tsx|mjs|js|css|html|md|json|sql)$/.test(name))
    .map((name) => join(folder, name));
const files = [
  ...["README.md", "AGENTS.md", "wrangler.toml", "package.json"],
  ...["src", "test", "docs"].flatMap(inFolder),
].filter((name) => !spared.some((one) => one.test(name)));
const lines = files.flatMap((name) =>
  readFileSync(`${root}${name}`, "utf8")
    .split("\n")
    .map((text, index) => ({ at: `${name}:${index + 1}`, line: `${name}: ${text}` })),
);

it("searches all of the project", () => {
  expect(files.length).toBeGreaterThan(600);
});

it.each(former)("$now: a former word for it is in no line", ({ words, allowed = [] }) => {
  const found = lines.filter(({ line }) => {
    const text = line.slice(line.indexOf(": ") + 2);
    return new RegExp(words).test(text) && !allowed.some((one) => one.test(text) || one.test(line));
  });
  expect(found.map(({ at, line }) => `${at} ${line.slice(line.indexOf(": ") + 2).trim()}`)).toEqual([]);
});
