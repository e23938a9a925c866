import type { Token } from "./access.js";
import type { EndReason } from "./contract.js";
export type Message = 
/** Who has an access token of this session? */
{
    ask: string;
}
/** Here is one. `login` is there if it is news: whether its session is, too. */
 | {
    have: Token;
    login?: boolean;
}
/** The service is not to be asked for so many milliseconds. */
 | {
    rest: number;
    failures: number;
}
/** The session is no more. */
 | {
    ended: string;
    reason: EndReason;
};
/** Hears what other tabs tell, and returns how to tell them. */
export declare function tabs(name: string, hear: (message: Message) => void): (message: Message) => void;
