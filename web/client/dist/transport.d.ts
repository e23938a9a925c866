export interface Service {
    /** Ends with a slash. */
    url: string;
    /** Whether the refresh token is in a cookie. */
    cookie: boolean;
}
/** The result of a mutation: success or an expected refusal. */
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
/** The argument of `fetch` that posts a document to the service. */
export declare function requestInit(service: Service, query: string, variables: unknown): RequestInit & {
    headers: HeadersInit;
};
/** Return the data of a response. Rejects with `GraphQLFailure` if it has errors or is not GraphQL. */
export declare function readData(response: Response): Promise<any>;
/** Run a mutation and return its result, refusals included. Rejects if the result remains unknown. */
export declare function mutate(service: Service, field: string, document: string, input: unknown): Promise<Outcome>;
export declare const LOGIN = "mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{tokens{accessToken refreshToken expiresIn}session{id deviceName}viewer{id username}}...on UserError{message}...on TooManyAttemptsError{retryAfter}}}";
export declare const REFRESH = "mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{tokens{accessToken refreshToken expiresIn}session{id deviceName}}...on UserError{message}...on TooManyAttemptsError{retryAfter}}}";
export declare const REVOKE = "mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}";
export declare const REVOKE_COOKIE = "mutation{revokeSession{__typename}}";
