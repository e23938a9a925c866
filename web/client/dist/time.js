// Spans of time. What time it is nobody asks: a device's clock may be wrong by hours, and the server judges expiry.
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/**
 * Tells the milliseconds since it was made, by whichever clock says more: one of them stands still while the device
 * sleeps, and the other may be put back.
 */
export function stopwatch() {
    const [steady, wall] = [performance.now(), Date.now()];
    return () => Math.max(performance.now() - steady, Date.now() - wall);
}
/** A signal that aborts after so many milliseconds, and what calls it off. */
export function limit(ms) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ms);
    return { signal: abort.signal, lift: () => clearTimeout(timer) };
}
