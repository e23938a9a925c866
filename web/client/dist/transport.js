// One request to the service, and the one field of its response.
import { GraphQLFailure } from "./contract.js";
import { timeout } from "./time.js";
// A slower request is aborted before the next one starts. Else its late response could restore an old cookie.
const REQUEST_TIMEOUT_MS = 10_000;
/** The argument of `fetch` that posts a document to the service. */
export function requestInit(service, query, variables) {
    const headers = { accept: "application/json", "content-type": "application/json" };
    return {
        method: "POST",
        // Forms of other sites cannot set this header, so they cannot use the cookie (CSRF).
        headers: service.cookie ? { ...headers, "kindred-delivery": "cookie" } : headers,
        credentials: service.cookie ? "include" : "omit",
        body: JSON.stringify({ query, variables }),
    };
}
/** Return the data of a response. Rejects with `GraphQLFailure` if it has errors or is not GraphQL. */
// biome-ignore lint/suspicious/noExplicitAny: the document decides the shape
export async function readData(response) {
    const body = await response.json().catch(() => null);
    if (body?.data && !body.errors)
        return body.data;
    const errors = Array.isArray(body?.errors) ? body.errors : [];
    throw new GraphQLFailure(errors, response.status, Number(response.headers.get("retry-after")) || 0);
}
/** Run a mutation and return its result, refusals included. Rejects if the result remains unknown. */
export async function mutate(service, field, document, input) {
    const { signal, cancel } = timeout(REQUEST_TIMEOUT_MS);
    try {
        const response = await fetch(`${service.url}graphql`, { ...requestInit(service, document, { input }), signal });
        const outcome = (await readData(response))[field];
        if (typeof outcome?.__typename !== "string")
            throw new GraphQLFailure([], response.status);
        return outcome;
    }
    finally {
        cancel();
    }
}
const TOKENS = "tokens{accessToken refreshToken expiresIn}session{id deviceName}";
const REFUSAL = "...on UserError{message}...on TooManyAttemptsError{retryAfter}";
export const LOGIN = `mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{${TOKENS}viewer{id username}}${REFUSAL}}}`;
export const REFRESH = `mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{${TOKENS}}${REFUSAL}}}`;
export const REVOKE = "mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}";
export const REVOKE_COOKIE = "mutation{revokeSession{__typename}}";
