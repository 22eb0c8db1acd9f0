/** A task's request, its caller, and its ids in other systems. */

import type { ComponentChildren } from "preact";
import { choices } from "#definitions";
import type { AdminTask } from "#gateway";
import { showNumber } from "../../ui/format.ts";
import { TenantLink, When } from "../when.tsx";
import "./facts.css";

/** Names with values. An undefined value is left out. */
type FactList = Record<string, ComponentChildren>;

function List({ facts }: { facts: FactList }) {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  return (
    <dl class="facts">
      {known.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const code = (text: string | null) => (text === null ? <span class="soft">none</span> : <code>{text}</code>);

export function Facts({ task }: { task: AdminTask }) {
  const { credits_held: held = 0, credits_charged: charged = 0 } = task.usage;
  const facts: FactList = {
    Tenant: <TenantLink id={task.tenant} />,
    Key: code(task.key),
    "End user": task.end_user ?? <span class="soft">none</span>,
    "Credits held": showNumber(held),
    "Credits charged": showNumber(charged),
    Request: code(task.request_id),
    "Upstream id": code(task.upstream_id),
    State: code(task.state),
    Attempts: showNumber(task.attempts),
    Deadline: <When at={task.deadline_at} />,
  };
  return (
    <section class="panel" aria-label="Facts">
      <h2>Facts</h2>
      <List facts={facts} />
    </section>
  );
}

const sizeOf = (size: NonNullable<AdminTask["input"]>["size"]) =>
  typeof size === "object" ? `${size.width} × ${size.height}` : (size ?? "the model's choice");

const choiceNames = Object.keys(choices) as (keyof typeof choices)[];

/** A field of editing alone that was left out is not shown: most pictures are no edits. */
function choiceOf(name: keyof typeof choices, value: boolean | undefined): string | undefined {
  if (value === undefined) return choices[name].editingOnly ? undefined : "the model's choice";
  return value ? "on" : "off";
}

export function Request({ task }: { task: AdminTask }) {
  const { input } = task;
  if (!input) return null;
  const facts: FactList = {
    Model: task.model,
    Size: sizeOf(input.size),
    Images: input.n ?? 1,
    "Negative prompt": input.negative_prompt,
    Seed: input.seed,
    ...Object.fromEntries(choiceNames.map((name) => [choices[name].label, choiceOf(name, input[name])])),
    References: input.image_urls && <References urls={input.image_urls} />,
    Callback: input.callback_url,
    ...Object.fromEntries(Object.entries(task.metadata).map(([name, value]) => [`Metadata: ${name}`, value])),
  };
  return (
    <section class="panel" aria-label="What was asked">
      <h2>What was asked</h2>
      <p class="prompt">{task.erased ? <span class="soft">The prompt is erased.</span> : input.prompt}</p>
      <List facts={facts} />
    </section>
  );
}

/** The caller wrote these addresses: only web addresses become links. */
function References({ urls }: { urls: string[] }) {
  return (
    <ol class="references">
      {urls.map((url) => (
        <li key={url}>
          {/^https?:\/\//i.test(url) ? (
            <a href={url} target="_blank" rel="noreferrer nofollow">
              {url}
            </a>
          ) : (
            url
          )}
        </li>
      ))}
    </ol>
  );
}
