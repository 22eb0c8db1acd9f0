/** Who is signed in. The admin key stays in this tab: a reload keeps it, another tab does not know it. */
import { useQueryClient } from "@tanstack/preact-query";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { keptForTab } from "../ui/tab.ts";

export const keptAdminKey = keptForTab<string>("wan-gateway admin key");

export const SignOut = createContext<() => void>(() => {});

/** Forgets the key and everything that was read with it. */
export function useSignOut(): () => void {
  const client = useQueryClient();
  const signOut = useContext(SignOut);
  return () => {
    client.clear();
    signOut();
  };
}
