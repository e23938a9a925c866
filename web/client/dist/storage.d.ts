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
export declare function vault(storage: StorageLike, name: string): Vault;
/** A storage that ends with the page. */
export declare function memory(): StorageLike;
/** 256 bits that nobody can guess, as 43 characters. */
export declare function random(): string;
