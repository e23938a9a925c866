// The access token. It is in memory, and goes to other tabs over a channel.
import { stopwatch } from "./time.js";
/** A token as it was received; `age` is how long ago that began. */
export function received(token, age = stopwatch()) {
    const due = token.left * (0.75 + 0.15 * Math.random());
    return {
        ...token,
        fresh: () => age() < due,
        now: () => ({ ...token, left: token.left - age() }),
        due: () => due - age(),
    };
}
