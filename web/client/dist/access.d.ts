/** An access token as one tab sends it to another. */
export interface SharedToken {
    /** The session's ID. */
    id: string;
    /** Of the stored session that this token was issued with. */
    version: string;
    token: string;
    /** Milliseconds until it expires. A duration, because the clocks of device and service may differ. */
    left: number;
}
export interface AccessToken extends SharedToken {
    /** Whether it need not be refreshed yet. Each tab draws its own moment, so that one tab refreshes first. */
    isFresh(): boolean;
    /** The token for other tabs, with the time that it has left now. */
    share(): SharedToken;
    /** Milliseconds until it should be refreshed. */
    due(): number;
}
/** Start to measure the age of a token. `age` is the time since its request began. */
export declare function receiveToken(shared: SharedToken, age?: () => number): AccessToken;
