// Waits that grow while the service cannot be reached, or says so.

import type { GraphQLFailure } from "./contract.js";
import { stopwatch } from "./time.js";

const FIRST = 250; // milliseconds
const LONGEST = 60_000;

export function backoff() {
  let waited = stopwatch();
  let wait = 0;
  let failures = 0;
  let failure: unknown;
  return {
    /** Milliseconds until the next attempt may leave. */
    left: () => Math.max(0, wait - waited()),
    /** What went wrong last. */
    failure: () => failure,
    /** How to tell other tabs. */
    now: () => ({ rest: wait - waited(), failures }),
    /** An attempt failed. Where the service says for how long, that holds. */
    fail(error: unknown) {
      failure = error;
      const asked = 1000 * ((error as Partial<GraphQLFailure>)?.retryAfter ?? 0);
      const growing = Math.min(LONGEST, FIRST * 2 ** failures++);
      wait = asked + growing * (1 + Math.random());
      waited = stopwatch();
    },
    /** Another tab's attempt failed. */
    rest(ms: number, theirs: number) {
      failure = new Error("The service cannot be reached just now.");
      failures = theirs;
      wait = ms;
      waited = stopwatch();
    },
    reset() {
      wait = failures = 0;
    },
  };
}
