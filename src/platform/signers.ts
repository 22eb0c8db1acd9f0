/** What the gateway signs with: keys, client tokens and links. */
import type { Config } from "../config.ts";
import { createSigner, type Signer } from "../domain/signing.ts";

export interface Signers {
  /** For tenant keys: the current secret's, then the previous one's. */
  keys: readonly Signer[];
  /** For client tokens: the current secret's alone. */
  tokens: Signer;
  /** For signed links: the current secret's alone. */
  links: Signer;
}

const signersOf = new WeakMap<Config, Signers>();

/** The signers of a configuration, made once: deriving one costs more than using it. */
export function signersFor(config: Config): Signers {
  const known = signersOf.get(config);
  if (known) return known;
  const { KEY_SIGNING_SECRET: current, KEY_SIGNING_SECRET_PREVIOUS: previous } = config;
  const secrets = [current, ...(previous === undefined ? [] : [previous])];
  const signers = {
    keys: secrets.map((secret) => createSigner(secret, "tenant-key")),
    tokens: createSigner(current, "client-token"),
    links: createSigner(current, "signed-link"),
  };
  signersOf.set(config, signers);
  return signers;
}
