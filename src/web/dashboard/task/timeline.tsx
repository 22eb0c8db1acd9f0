/** A task's life, from its submission to the last webhook about its end. */
import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { type AdminTask, listDeliveries, type WebhookDelivery } from "#gateway";
import { call } from "../../ui/call.ts";
import { useLastKnown } from "../../ui/last-known.ts";
import { Problem } from "../../ui/notice.tsx";
import { Attempts } from "../webhooks/attempts.tsx";
import { SendAgain } from "../webhooks/send-again.tsx";
import { When } from "../when.tsx";
import { isOver, lifeOf, type Station } from "./life.ts";
import "./timeline.css";

const refreshMs = 3_000;
/** A task has one delivery to its tenant's webhook, one to its callback, and at most one about the balance. */
const mostDeliveries = 10;

export function Timeline({ task }: { task: AdminTask }) {
  const read = useQuery({
    // The deliveries exist from the end on: a new key reads them at once then.
    queryKey: ["deliveries", "of task", task.id, isOver(task)],
    queryFn: () => call(listDeliveries({ task: task.id, limit: mostDeliveries })),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => {
      const areOver = state.data?.data.every(({ status }) => status !== "pending") ?? false;
      return isOver(task) && areOver ? false : refreshMs;
    },
  });
  const { data, error } = useLastKnown(read);
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
          <DeliveryPoint key={delivery.id} delivery={delivery} />
        ))}
        {data && deliveries.length === 0 && isOver(task) && (
          <Point name="Webhooks" state="skipped" at={null}>
            none is to be sent
          </Point>
        )}
      </ol>
      <Problem error={error} />
    </section>
  );
}

type PointProps = Omit<Station, "text"> & { children: ComponentChildren };

const stateWords: Record<Station["state"], string> = {
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
        <strong>{name}</strong> <span class="visually-hidden">({stateWords[state]})</span>
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

function DeliveryPoint({ delivery }: { delivery: WebhookDelivery }) {
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
        <code>{event}</code> to {to}: <Attempts delivery={delivery} />
      </p>
      <SendAgain id={delivery.id} />
    </Point>
  );
}
