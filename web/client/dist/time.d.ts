export declare const sleep: (ms: number) => Promise<void>;
/**
 * Tells the milliseconds since it was made, by whichever clock says more: one of them stands still while the device
 * sleeps, and the other may be put back.
 */
export declare function stopwatch(): () => number;
/** A signal that aborts after so many milliseconds, and what calls it off. */
export declare function limit(ms: number): {
    signal: AbortSignal;
    lift: () => void;
};
