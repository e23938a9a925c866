/** Why a session ended. `replayed`: somebody else holds a copy of its refresh token, or did. */
export type EndReason = "signed-out" | "replayed" | "revoked" | "expired" | "invalid";
export interface Credentials {
    username: string;
    password: string;
    /** What the session is called in the person's list. Default: by the browser's name. */
    deviceName?: string;
}
export type LoginAnswer = {
    ok: true;
    session: {
        id: string;
        deviceName: string;
    };
    viewer: {
        id: string;
        username: string;
    };
} | {
    ok: false;
    /** The `__typename` of the refusal, such as `InvalidCredentialsError`. */
    code: string;
    /** A sentence for the person. */
    message: string;
    /** Seconds to wait, where the service asks for it. */
    retryAfter?: number;
};
/** Of `localStorage` what is needed; answers may be promises. All tabs must see the same. */
export interface StorageLike {
    getItem(name: string): string | null | Promise<string | null>;
    setItem(name: string, value: string): void | Promise<void>;
    removeItem(name: string): void | Promise<void>;
}
export interface Options {
    /** The service's base address. Default: where this module was loaded from, if from the service; else the page's origin. */
    url?: string;
    /** Where the refresh token is. Default: `cookie` in a browser, out of every script's reach. */
    delivery?: "cookie" | "body";
    /**
     * With `cookie` for nothing secret, and `localStorage` by default. With `body` it holds the refresh token; by default
     * memory, so that the session ends with the page.
     */
    storage?: StorageLike;
    /** Origins that `fetch` sends the access token to, beside the service's and the page's own. */
    sendTo?: string[];
}
export interface Client {
    /** Signs in. Rejects where no answer came. */
    login(who: Credentials): Promise<LoginAnswer>;
    /** Signs out: here at once, and at the service if it can be reached. */
    logout(): Promise<void>;
    /** `fetch` with the access token, where it may go. Where that is refused: one refresh, and once more. */
    fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
    /** What the service answers to a document, as its `data`. Rejects with `GraphQLFailure`. */
    graphql<T = any>(document: string, variables?: Record<string, unknown>): Promise<T>;
    /**
     * An access token that is good for a while, and not the one that was `refused`; null when nobody is signed in. Rejects
     * where none can be had just now.
     */
    getAccessToken(refused?: string): Promise<string | null>;
    /** Calls the listener once for each session that ends, whichever tab notices. Returns what stops it. */
    onSessionEnded(listener: (reason: EndReason) => void): () => void;
}
export interface GraphQLError {
    message: string;
    path?: (string | number)[];
    extensions?: {
        code?: string;
        [name: string]: unknown;
    };
}
/** The service answered, and not with data alone. */
export declare class GraphQLFailure extends Error {
    /** Empty where the answer was not GraphQL's. */
    readonly errors: GraphQLError[];
    /** Of HTTP. */
    readonly status: number;
    /** Seconds to wait, where the service asks for it; else 0. */
    readonly retryAfter: number;
    name: string;
    constructor(
    /** Empty where the answer was not GraphQL's. */
    errors: GraphQLError[], 
    /** Of HTTP. */
    status: number, 
    /** Seconds to wait, where the service asks for it; else 0. */
    retryAfter?: number);
}
