// What a session keeps in storage: never an access token.

import type { EndReason, StorageLike } from "./contract.js";

export interface StoredSession {
  id: string;
  /** Changes with each refresh, so that a tab notices that another tab has refreshed. */
  version: string;
  /** The refresh token, unless it is in a cookie. */
  token?: string;
  /** The idempotency key of a refresh without an answer yet. It survives a crash of the tab. */
  key?: string;
  /** Set once the session has ended. */
  ended?: EndReason;
}

export interface SessionStore {
  read(): Promise<StoredSession | null>;
  write(stored: StoredSession): Promise<void>;
}

/** One item holds everything, so one write stores the new token and removes the key of the old one. */
export function sessionStore(storage: StorageLike, name: string): SessionStore {
  return {
    async read() {
      try {
        const stored = JSON.parse((await storage.getItem(name)) ?? "null");
        return typeof stored?.id === "string" ? stored : null;
      } catch (error) {
        if (error instanceof SyntaxError) return null; // another program wrote this item
        throw error;
      }
    },
    write: async (stored) => storage.setItem(name, JSON.stringify(stored)),
  };
}

/** A storage that ends with the page. */
export function memoryStorage(): StorageLike {
  const items = new Map<string, string>();
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/** 256 bits from the platform's secure generator, as 43 characters of base64url. */
export function randomString(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replace(/\W/g, (sign) => ({ "+": "-", "/": "_" })[sign] ?? "");
}
