/**
 * A tenant as it is known from the outside: what was asked of its object and what that answered. Whatever the
 * object says of itself has to follow from it.
 */
import type { Credit } from "../../src/domain/ledger-lines.ts";
import { configure, keyOf, limitsOf, t0 } from "./tenant-object.ts";

const model = "wan-2.7-image";
export const usualPrice = 30;
export const hourMs = 3_600_000;

/** The second key has limits of its own. */
export const keys = [
  keyOf(),
  keyOf("key-0000000000000002", { limits: { concurrent_tasks: 3, images_per_day: 12 } }),
];

export interface Settings {
  price: number | null;
  tasks: number;
  perDay: number;
}

interface Hold {
  task: string;
  key: number;
  images: number;
  price: number;
  atMs: number;
  replay: string | null;
  /** Null until it has ended. */
  made: number | null;
}

const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);

export class TenantModel {
  readonly id: string;
  readonly prepaid: boolean;
  nowMs = t0;
  version = 1;
  settings: Settings = { price: null, tasks: 5, perDay: 40 };
  readonly holds = new Map<number, Hold>();
  readonly credits = new Map<string, Credit>();

  constructor(id: string, prepaid: boolean) {
    this.id = id;
    this.prepaid = prepaid;
  }

  configure() {
    const { price, tasks, perDay } = this.settings;
    const prices = price === null ? {} : { [model]: price };
    const limits = limitsOf({ concurrent_tasks: tasks, images_per_day: perDay });
    return configure(this.id, { version: this.version, prepaid: this.prepaid, keys, prices, limits });
  }

  holdsOf(key?: number): Hold[] {
    return [...this.holds.values()].filter((hold) => key === undefined || hold.key === key);
  }
  open(key?: number): Hold[] {
    return this.holdsOf(key).filter(({ made }) => made === null);
  }
  imagesToday(key?: number): number {
    const day = (ms: number) => Math.floor(ms / (24 * hourMs));
    const today = this.holdsOf(key).filter(({ atMs }) => day(atMs) === day(this.nowMs));
    return sum(today.map(({ made, images }) => made ?? images));
  }
  get held(): number {
    return sum(this.open().map(({ images, price }) => images * price));
  }
  get balance(): number {
    const credited = sum([...this.credits.values()].map(({ amount }) => amount));
    return credited - sum(this.holdsOf().map(({ made, price }) => (made ?? 0) * price));
  }
  get price(): number {
    return this.settings.price ?? usualPrice;
  }

  /** What becomes of a request now. */
  verdict(images: number, key: number, replay: string | null): "admitted" | "replay" | "refused" {
    const { tasks, perDay } = this.settings;
    const bound = (hold: Hold) => hold.replay === replay && hold.atMs > this.nowMs - 24 * hourMs;
    if (replay !== null && this.holdsOf().some(bound)) return "replay";
    const tooMany = this.open().length >= tasks || this.imagesToday() + images > perDay;
    const ofKey = key === 1 && (this.open(1).length >= 3 || this.imagesToday(1) + images > 12);
    const broke = this.prepaid && this.balance - this.held < this.price * images;
    return tooMany || ofKey || broke ? "refused" : "admitted";
  }

  /** Every line that the ledger has, in no order; no two are equal. */
  lines(): string[] {
    const ofHolds = this.holdsOf().flatMap(({ task, images, price, made }) => {
      const [held, charged] = [images * price, (made ?? 0) * price];
      const released = held - charged;
      return [
        `hold ${task} ${held}`,
        ...(charged > 0 ? [`charge ${task} ${charged}`] : []),
        ...(made !== null && (released > 0 || charged === 0) ? [`release ${task} ${released}`] : []),
      ];
    });
    const ofCredits = [...this.credits.values()].map(
      ({ type, reference, amount }) => `${type} ${reference} ${amount}`,
    );
    return [...ofHolds, ...ofCredits];
  }
}
