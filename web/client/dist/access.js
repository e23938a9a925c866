// The access token. It stays in memory, and tabs send it to each other over a channel.
import { stopwatch } from "./time.js";
/** Start to measure the age of a token. `age` is the time since its request began. */
export function receiveToken(shared, age = stopwatch()) {
    const due = shared.left * (0.75 + 0.15 * Math.random());
    return {
        ...shared,
        isFresh: () => age() < due,
        share: () => ({ ...shared, left: shared.left - age() }),
        due: () => due - age(),
    };
}
