/** As it travels between tabs. */
export interface Token {
    /** The session's. */
    id: string;
    mark: string;
    token: string;
    /** Milliseconds that it is still good for. */
    left: number;
}
export interface Access extends Token {
    /** Whether it need not be refreshed yet. Tabs differ in when, so that one of them comes first. */
    fresh(): boolean;
    /** What it still is to other tabs. */
    now(): Token;
    /** Milliseconds until it should be refreshed. */
    due(): number;
}
/** A token as it was received; `age` is how long ago that began. */
export declare function received(token: Token, age?: () => number): Access;
