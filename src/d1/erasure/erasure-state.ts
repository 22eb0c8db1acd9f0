/** How far something is erased: `pending` means that its text is gone and its bytes are about to go. */
import { type Decode, oneOf } from "../../domain/stored.ts";

export const erasureStates = ["none", "pending", "done"] as const;

const erasureState = oneOf(erasureStates);

/** The column `erasure`: whether any of it is gone. */
export const isErased: Decode<boolean> = (value) => erasureState(value) !== "none";
