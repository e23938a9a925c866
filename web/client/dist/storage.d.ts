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
export declare function sessionStore(storage: StorageLike, name: string): SessionStore;
/** A storage that ends with the page. */
export declare function memoryStorage(): StorageLike;
/** 256 bits from the platform's secure generator, as 43 characters of base64url. */
export declare function randomString(): string;
