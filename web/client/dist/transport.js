// One request to the service, and the one field of its answer.
import { GraphQLFailure } from "./contract.js";
import { limit } from "./time.js";
// Milliseconds. A request that takes longer is aborted before the next leaves, or its late answer could put an old
// cookie back.
const PATIENCE = 10_000;
/** What `fetch` needs to post a document to the service. */
export function posted(service, query, variables) {
    const headers = { accept: "application/json", "content-type": "application/json" };
    return {
        method: "POST",
        // The header keeps other sites' forms from using the cookie.
        headers: service.cookie ? { ...headers, "kindred-delivery": "cookie" } : headers,
        credentials: service.cookie ? "include" : "omit",
        body: JSON.stringify({ query, variables }),
    };
}
/** The data of an answer. Raises `GraphQLFailure` where there is anything else. */
export async function dataOf(response) {
    const answer = await response.json().catch(() => null);
    if (answer?.data && !answer.errors)
        return answer.data;
    const errors = Array.isArray(answer?.errors) ? answer.errors : [];
    throw new GraphQLFailure(errors, response.status, Number(response.headers.get("retry-after")) || 0);
}
/** What a mutation comes to, its refusals included. Rejects where that stays unknown. */
export async function call(service, field, document, input) {
    const { signal, lift } = limit(PATIENCE);
    try {
        const response = await fetch(`${service.url}graphql`, { ...posted(service, document, { input }), signal });
        const outcome = (await dataOf(response))[field];
        if (typeof outcome?.__typename !== "string")
            throw new GraphQLFailure([], response.status);
        return outcome;
    }
    finally {
        lift();
    }
}
const TOKENS = "tokens{accessToken refreshToken expiresIn}session{id deviceName}";
const REFUSAL = "...on UserError{message}...on TooManyAttemptsError{retryAfter}";
export const LOGIN = `mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{${TOKENS}viewer{id username}}${REFUSAL}}}`;
export const REFRESH = `mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{${TOKENS}}${REFUSAL}}}`;
export const REVOKE = "mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}";
export const REVOKE_COOKIE = "mutation{revokeSession{__typename}}";
