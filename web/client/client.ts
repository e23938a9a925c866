// The client: the functions that a front end calls.

import type { Client, GraphQLError, Options } from "./contract.js";
import { openSession } from "./session.js";
import { memoryStorage, randomString, sessionStore } from "./storage.js";
import { readData, requestInit } from "./transport.js";

export * from "./contract.js";

export function createClient(options: Options = {}): Client {
  const inBrowser = typeof document !== "undefined";
  const url = serviceUrl(options.url);
  const cookie = (options.delivery ?? (inBrowser ? "cookie" : "body")) === "cookie";
  const shared = options.storage ?? (cookie ? browserStorage() : null);
  // A session in memory belongs to this page alone, and so do its lock and its channel.
  const name = `kindred ${url}${shared ? "" : randomString()}`;
  const service = { url, cookie };
  const session = openSession(service, sessionStore(shared ?? memoryStorage(), name), name);
  const trusted = new Set([url, ...(inBrowser ? [location.href] : []), ...(options.sendTo ?? [])].map(originOf));

  async function send(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    // A caller that sets its own token also handles the refusal of that token.
    if (!trusted.has(originOf(request.url)) || request.headers.has("authorization")) return fetch(request);
    const token = await session.getToken();
    if (!token) return fetch(request);
    const retry = init?.body instanceof ReadableStream ? null : request.clone();
    const response = await fetch(withToken(request, token));
    if (!(await isRefused(request, response))) return response;
    const next = await session.refresh(token);
    return next && retry ? fetch(withToken(retry, next)) : response;
  }

  return {
    login: session.login,
    logout: session.logout,
    fetch: send,
    graphql: async (document, variables) =>
      readData(await send(`${url}graphql`, requestInit(service, document, variables))),
    getAccessToken: (refused) => (refused ? session.refresh(refused) : session.getToken()),
    onSessionEnded: session.onEnded,
  };
}

const originOf = (url: string) => new URL(url).origin;

/** The service's base URL, with a slash at its end. */
function serviceUrl(given?: string): string {
  const [loadedFrom] = /^.*\/(?=assets\/kindred-client\.js)/.exec(import.meta.url) ?? [];
  const url = given ?? loadedFrom ?? globalThis.location?.origin;
  if (!url) throw new TypeError("createClient needs the service's `url`.");
  return new URL(url.replace(/\/*$/, "/"), globalThis.location?.href).href;
}

/** `localStorage`, or null where the user has switched it off. */
function browserStorage(): Storage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

function withToken(request: Request, token: string): Request {
  request.headers.set("authorization", `Bearer ${token}`);
  return request;
}

/** Whether the token was refused: by HTTP 401, or in a GraphQL response, whose status may be 200. */
async function isRefused(request: Request, response: Response): Promise<boolean> {
  if (response.status === 401) return true;
  if (request.method !== "POST" || !/json/.test(response.headers.get("content-type") ?? "")) return false;
  const body = await response
    .clone()
    .json()
    .catch(() => null);
  return (
    Array.isArray(body?.errors) &&
    body.errors.some((error: GraphQLError | null) => error?.extensions?.code === "UNAUTHENTICATED")
  );
}
