// Durations. Nothing here reads the time of day: a device's clock may be wrong by hours, and the server decides expiry.
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/**
 * Measure the milliseconds since this call. The larger of two clocks counts: the steady one stops while the device
 * sleeps, and the user can set the other one back.
 */
export function stopwatch() {
    const [steady, wall] = [performance.now(), Date.now()];
    return () => Math.max(performance.now() - steady, Date.now() - wall);
}
/** A signal that aborts after this time, and a function that cancels the timeout. */
export function timeout(ms) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ms);
    return { signal: abort.signal, cancel: () => clearTimeout(timer) };
}
