export interface Service {
    /** With a slash at its end. */
    url: string;
    /** Whether the refresh token is in a cookie. */
    cookie: boolean;
}
export interface Outcome {
    __typename: string;
    message?: string;
    retryAfter?: number;
    tokens?: {
        accessToken: string;
        refreshToken: string;
        expiresIn: number;
    };
    session?: {
        id: string;
        deviceName: string;
    };
    viewer?: {
        id: string;
        username: string;
    };
}
/** What `fetch` needs to post a document to the service. */
export declare function posted(service: Service, query: string, variables: unknown): RequestInit & {
    headers: HeadersInit;
};
/** The data of an answer. Raises `GraphQLFailure` where there is anything else. */
export declare function dataOf(response: Response): Promise<any>;
/** What a mutation comes to, its refusals included. Rejects where that stays unknown. */
export declare function call(service: Service, field: string, document: string, input: unknown): Promise<Outcome>;
export declare const LOGIN = "mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{tokens{accessToken refreshToken expiresIn}session{id deviceName}viewer{id username}}...on UserError{message}...on TooManyAttemptsError{retryAfter}}}";
export declare const REFRESH = "mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{tokens{accessToken refreshToken expiresIn}session{id deviceName}}...on UserError{message}...on TooManyAttemptsError{retryAfter}}}";
export declare const REVOKE = "mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}";
export declare const REVOKE_COOKIE = "mutation{revokeSession{__typename}}";
