/** The admin key of this tab. A reload keeps it; another tab does not have it. */
import { useQueryClient } from "@tanstack/preact-query";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { keptForTab } from "../ui/tab.ts";

export const keptAdminKey = keptForTab<string>("wan-gateway admin key");

export const SignOut = createContext<() => void>(() => {});

/** Removes the key and all data that was read with it. */
export function useSignOut(): () => void {
  const client = useQueryClient();
  const signOut = useContext(SignOut);
  return () => {
    client.clear();
    signOut();
  };
}
