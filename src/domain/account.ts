/**
 * A tenant's money, in whole credits. Three sums say all of it, and each operation moves them in a way that
 * keeps `balance = topped up − charged` and, for a prepaid tenant, `available = balance − held ≥ 0`.
 */
import type { Task } from "./task.ts";

export interface Account {
  /** Everything ever credited, corrections included. */
  toppedUp: number;
  charged: number;
  /** Of tasks that have not ended. */
  held: number;
}

export const emptyAccount: Account = { toppedUp: 0, charged: 0, held: 0 };

/** The largest amount of one entry: keeps every sum below 2^53. */
export const maxAmount = 1_000_000_000_000;

export function balanceOf(account: Account): number {
  return account.toppedUp - account.charged;
}

export function availableOf(account: Account): number {
  return balanceOf(account) - account.held;
}

/** What a hold sets credits aside for: images asked for, and credits per image as of the admission. */
export interface Priced {
  images: number;
  price: number;
}

/** The price of a task, which is held until it ends. */
export function priceOf({ images, price }: Priced): number {
  return images * price;
}

/** The images that an ended task is charged for. */
export function chargedImages({ state, images }: Pick<Task, "state" | "images">): number {
  return state === "completed" ? images.length : 0;
}

/** What a hold comes to: the charge for `stored` images, never for more than were asked for, and the rest. */
export function chargeOf(
  held: Priced,
  stored: number,
): { charged: number; released: number; unmade: number } {
  const images = Math.min(stored, held.images);
  const charged = priceOf({ images, price: held.price });
  return { charged, released: priceOf(held) - charged, unmade: held.images - images };
}

/** Sets credits aside; undefined when a prepaid account does not cover them. */
export function hold(account: Account, amount: number, prepaid: boolean): Account | undefined {
  if (prepaid && availableOf(account) < amount) return undefined;
  return { ...account, held: account.held + amount };
}

/**
 * Ends a hold: charges a part of it and releases the rest.
 * @param charge 0 to `amount`.
 */
export function settle(account: Account, amount: number, charge: number): Account {
  return { ...account, charged: account.charged + charge, held: account.held - amount };
}

/** Credits or debits; undefined when a prepaid account would have less than it holds. */
export function credit(account: Account, amount: number, prepaid: boolean): Account | undefined {
  const after = { ...account, toppedUp: account.toppedUp + amount };
  return prepaid && amount < 0 && availableOf(after) < 0 ? undefined : after;
}
