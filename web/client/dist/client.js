// The client: what a front end calls.
import { GraphQLFailure } from "./contract.js";
import { openSession } from "./session.js";
import { memory, random, vault } from "./storage.js";
import { dataOf, posted } from "./transport.js";
export * from "./contract.js";
export function createClient(options = {}) {
    const inBrowser = typeof document !== "undefined";
    const url = base(options.url);
    const cookie = (options.delivery ?? (inBrowser ? "cookie" : "body")) === "cookie";
    const shared = options.storage ?? (cookie ? local() : null);
    // A session in memory is this page's own, and so are its lock and its channel.
    const name = `kindred ${url}${shared ? "" : random()}`;
    const service = { url, cookie };
    const session = openSession(service, vault(shared ?? memory(), name), name);
    const trusted = new Set([url, ...(inBrowser ? [location.href] : []), ...(options.sendTo ?? [])].map(originOf));
    async function send(input, init) {
        const request = new Request(input, init);
        // Whoever has a token of their own knows what to do when it is refused.
        if (!trusted.has(originOf(request.url)) || request.headers.has("authorization"))
            return fetch(request);
        const token = await session.getToken();
        if (!token)
            return fetch(request);
        const again = init?.body instanceof ReadableStream ? null : request.clone();
        const response = await fetch(bearing(request, token));
        if (!(await isRefused(request, response)))
            return response;
        const next = await session.refresh(token);
        return next && again ? fetch(bearing(again, next)) : response;
    }
    return {
        login: session.login,
        logout: session.logout,
        fetch: send,
        graphql: async (document, variables) => dataOf(await send(`${url}graphql`, posted(service, document, variables))),
        getAccessToken: (refused) => (refused ? session.refresh(refused) : session.getToken()),
        onSessionEnded: session.onEnded,
    };
}
const originOf = (url) => new URL(url).origin;
/** The service's address, with a slash at its end. */
function base(given) {
    const [from] = /^.*\/(?=assets\/kindred-client\.js)/.exec(import.meta.url) ?? [];
    const url = given ?? from ?? globalThis.location?.origin;
    if (!url)
        throw new TypeError("createClient needs the service's `url`.");
    return new URL(url.replace(/\/*$/, "/"), globalThis.location?.href).href;
}
/** The browser's own storage, or null where it is switched off. */
function local() {
    try {
        return globalThis.localStorage ?? null;
    }
    catch {
        return null;
    }
}
function bearing(request, token) {
    request.headers.set("authorization", `Bearer ${token}`);
    return request;
}
/** Whether the token was refused: by HTTP, or in a GraphQL answer, whose status may be 200. */
async function isRefused(request, response) {
    if (response.status === 401)
        return true;
    if (request.method !== "POST" || !/json/.test(response.headers.get("content-type") ?? ""))
        return false;
    const answer = await response.clone().json().catch(() => null);
    return Array.isArray(answer?.errors) && answer.errors.some((error) => error?.extensions?.code === "UNAUTHENTICATED");
}
