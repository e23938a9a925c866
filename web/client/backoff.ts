// The time to wait after a failed request: it doubles with each failure, and is never shorter than `Retry-After`.

import type { GraphQLFailure } from "./contract.js";
import { stopwatch } from "./time.js";

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 60_000;

export function createBackoff() {
  let elapsed = stopwatch();
  let delay = 0;
  let failures = 0;
  let error: unknown;
  return {
    /** Milliseconds until the next attempt may start. */
    left: () => Math.max(0, delay - elapsed()),
    /** The error of the last attempt. */
    error: () => error,
    /** What other tabs need to wait as long as this one. */
    share: () => ({ ms: delay - elapsed(), failures }),
    /** Record a failed attempt. */
    fail(reason: unknown) {
      error = reason;
      const retryAfter = 1000 * ((reason as Partial<GraphQLFailure>)?.retryAfter ?? 0);
      const growing = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures++);
      delay = retryAfter + growing * (1 + Math.random());
      elapsed = stopwatch();
    },
    /** Wait because another tab's attempt failed. */
    adopt(ms: number, failuresThere: number) {
      error = new Error("The service cannot be reached. Try again later.");
      failures = failuresThere;
      delay = ms;
      elapsed = stopwatch();
    },
    reset() {
      delay = failures = 0;
    },
  };
}
