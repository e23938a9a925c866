// What a session leaves in storage: never an access token.

import type { EndReason, StorageLike } from "./contract.js";

export interface Stored {
  /** The session's. */
  id: string;
  /** Changes with each rotation, so that tabs can tell whether they speak of the same. */
  mark: string;
  /** The refresh token, unless it is in a cookie. */
  token?: string;
  /** The idempotency key of the attempt under way, until an answer came: also after a crash of the tab. */
  key?: string;
  /** Why it is no more. */
  ended?: EndReason;
}

export interface Vault {
  read(): Promise<Stored | null>;
  write(stored: Stored): Promise<void>;
}

/** All of it is one item, so a new token comes and its predecessor's key goes in one write. */
export function vault(storage: StorageLike, name: string): Vault {
  return {
    async read() {
      try {
        const stored = JSON.parse((await storage.getItem(name)) ?? "null");
        return typeof stored?.id === "string" ? stored : null;
      } catch (error) {
        if (error instanceof SyntaxError) return null; // not ours
        throw error;
      }
    },
    write: async (stored) => storage.setItem(name, JSON.stringify(stored)),
  };
}

/** A storage that ends with the page. */
export function memory(): StorageLike {
  const items = new Map<string, string>();
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/** 256 bits that nobody can guess, as 43 characters. */
export function random(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replace(/\W/g, (sign) => ({ "+": "-", "/": "_" })[sign] ?? "");
}
