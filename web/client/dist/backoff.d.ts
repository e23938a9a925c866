export declare function createBackoff(): {
    /** Milliseconds until the next attempt may start. */
    left: () => number;
    /** The error of the last attempt. */
    error: () => unknown;
    /** What other tabs need to wait as long as this one. */
    share: () => {
        ms: number;
        failures: number;
    };
    /** Record a failed attempt. */
    fail(reason: unknown): void;
    /** Wait because another tab's attempt failed. */
    adopt(ms: number, failuresThere: number): void;
    reset(): void;
};
