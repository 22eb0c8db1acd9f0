/** A task's life, from its submission to the last one who was told of its end. */
import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { type AdminTask, listDeliveries, type WebhookDelivery } from "#gateway";
import { call } from "../../ui/call.ts";
import { Problem } from "../../ui/notice.tsx";
import { useStanding } from "../../ui/standing.ts";
import { SendAgain } from "../webhooks/send-again.tsx";
import { Tries } from "../webhooks/tries.tsx";
import { When } from "../when.tsx";
import { isOver, lifeOf, type Station } from "./life.ts";

const refreshMs = 3_000;
/** A task has one for its tenant's webhook, one for its callback, and at most one about the balance. */
const atMost = 10;

export function Timeline({ task }: { task: AdminTask }) {
  const read = useQuery({
    // Whoever is to be told of the end is known from the end on: then it is asked anew, however lately that was.
    queryKey: ["deliveries", "of task", task.id, isOver(task)],
    queryFn: () => call(listDeliveries({ task: task.id, limit: atMost })),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => {
      const isTold = state.data?.data.every(({ status }) => status !== "pending") ?? false;
      return isOver(task) && isTold ? false : refreshMs;
    },
  });
  const { data, error } = useStanding(read);
  const deliveries = data?.data ?? [];
  return (
    <section class="panel" aria-label="Timeline">
      <h2>Timeline</h2>
      <ol class="timeline">
        {lifeOf(task).map((station) => (
          <Point key={station.name} {...station}>
            {station.text}
          </Point>
        ))}
        {deliveries.toReversed().map((delivery) => (
          <Told key={delivery.id} delivery={delivery} />
        ))}
        {data && deliveries.length === 0 && isOver(task) && (
          <Point name="Webhooks" state="skipped" at={null}>
            nobody is to be told
          </Point>
        )}
      </ol>
      <Problem error={error} />
    </section>
  );
}

type PointProps = Omit<Station, "text"> & { children: ComponentChildren };

const said: Record<Station["state"], string> = {
  done: "done",
  now: "under way",
  ahead: "to come",
  skipped: "did not happen",
  bad: "went wrong",
};

function Point({ name, state, at, children }: PointProps) {
  return (
    <li class={state}>
      <div class="point">
        <strong>{name}</strong> <span class="visually-hidden">({said[state]})</span>
        {at !== null && <When at={at} toSecond />}
      </div>
      <div class="soft">{children}</div>
    </li>
  );
}

const stateOf: Record<WebhookDelivery["status"], Station["state"]> = {
  delivered: "done",
  pending: "now",
  failed: "bad",
  dropped: "skipped",
};

function Told({ delivery }: { delivery: WebhookDelivery }) {
  const { event, target, status, last_error } = delivery;
  const hasFailed = status === "pending" && last_error !== null;
  const to = target === "webhook" ? "the tenant's webhook" : target;
  return (
    <Point
      name={`Webhook ${status === "pending" ? "waits" : status}`}
      state={hasFailed ? "bad" : stateOf[status]}
      at={status === "delivered" ? delivery.last_attempt_at : null}
    >
      <p>
        <code>{event}</code> to {to}: <Tries delivery={delivery} />
      </p>
      <SendAgain id={delivery.id} />
    </Point>
  );
}
