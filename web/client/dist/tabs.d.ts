import type { SharedToken } from "./access.js";
import type { EndReason } from "./contract.js";
export type Message = 
/** Asks for an access token of the session with this ID. */
{
    type: "token-request";
    id: string;
}
/** Offers one. `login` is set when it is new, and tells whether its session is new as well. */
 | {
    type: "token-offer";
    token: SharedToken;
    login?: boolean;
}
/** Send no request to the service for this many milliseconds. */
 | {
    type: "cooldown";
    ms: number;
    failures: number;
} | {
    type: "session-ended";
    id: string;
    reason: EndReason;
};
/** Listen to the other tabs. Returns the function that sends them a message. */
export declare function connectTabs(name: string, receive: (message: Message) => void): (message: Message) => void;
