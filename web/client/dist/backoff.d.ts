export declare function backoff(): {
    /** Milliseconds until the next attempt may leave. */
    left: () => number;
    /** What went wrong last. */
    failure: () => unknown;
    /** How to tell other tabs. */
    now: () => {
        rest: number;
        failures: number;
    };
    /** An attempt failed. Where the service says for how long, that holds. */
    fail(error: unknown): void;
    /** Another tab's attempt failed. */
    rest(ms: number, theirs: number): void;
    reset(): void;
};
