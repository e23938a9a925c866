export declare const sleep: (ms: number) => Promise<void>;
/**
 * Measure the milliseconds since this call. The larger of two clocks counts: the steady one stops while the device
 * sleeps, and the user can set the other one back.
 */
export declare function stopwatch(): () => number;
/** A signal that aborts after this time, and a function that cancels the timeout. */
export declare function timeout(ms: number): {
    signal: AbortSignal;
    cancel: () => void;
};
