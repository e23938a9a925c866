// The public types of the client.

/** Why a session ended. `replayed`: its refresh token was used twice, so another party may hold a copy. */
export type EndReason = "signed-out" | "replayed" | "revoked" | "expired" | "invalid";

export interface Credentials {
  username: string;
  password: string;
  /** The session's name in the user's list. Default: the browser's name. */
  deviceName?: string;
}

export type LoginAnswer =
  | { ok: true; session: { id: string; deviceName: string }; viewer: { id: string; username: string } }
  | {
      ok: false;
      /** The `__typename` of the refusal, such as `InvalidCredentialsError`. */
      code: string;
      /** A sentence to show to the user. */
      message: string;
      /** Seconds to wait, if the service asks for it. */
      retryAfter?: number;
    };

/** The part of `localStorage` that the client uses. Methods may return promises. All tabs must share it. */
export interface StorageLike {
  getItem(name: string): string | null | Promise<string | null>;
  setItem(name: string, value: string): void | Promise<void>;
  removeItem(name: string): void | Promise<void>;
}

export interface Options {
  /** The service's base URL. Default: the service that this module was loaded from, else the page's origin. */
  url?: string;
  /** Where the refresh token is kept. Default: `cookie` in a browser, where no script can read it; else `body`. */
  delivery?: "cookie" | "body";
  /**
   * With `cookie` it holds no secret; default `localStorage`. With `body` it holds the refresh token; default memory, so
   * the session ends with the page.
   */
  storage?: StorageLike;
  /** Origins that `fetch` sends the access token to, besides those of the service and the page. */
  sendTo?: string[];
}

export interface Client {
  /** Sign in. Rejects if no answer arrives. */
  login(credentials: Credentials): Promise<LoginAnswer>;
  /** Sign out: at once in this browser, and at the service if it can be reached. */
  logout(): Promise<void>;
  /** `fetch` with the access token, to trusted origins only. If the token is refused: one refresh, one repetition. */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Send a document to the service and return the `data`. Rejects with `GraphQLFailure`. */
  // biome-ignore lint/suspicious/noExplicitAny: the document decides the shape
  graphql<T = any>(document: string, variables?: Record<string, unknown>): Promise<T>;
  /**
   * An access token that stays valid for a while and is not the `refused` one, or null if the user is not signed in.
   * Rejects while no token can be obtained.
   */
  getAccessToken(refused?: string): Promise<string | null>;
  /** Call the listener once for each session that ends, in every tab. Returns a function that removes the listener. */
  onSessionEnded(listener: (reason: EndReason) => void): () => void;
}

export interface GraphQLError {
  message: string;
  path?: (string | number)[];
  extensions?: { code?: string; [name: string]: unknown };
}

/** The service answered with errors, or with something other than GraphQL. */
export class GraphQLFailure extends Error {
  override name = "GraphQLFailure";
  constructor(
    /** Empty if the response was not GraphQL. */
    readonly errors: GraphQLError[],
    /** The HTTP status. */
    readonly status: number,
    /** Seconds to wait, if the service asks for it; else 0. */
    readonly retryAfter = 0,
  ) {
    super(errors[0]?.message ?? `The service answered with HTTP ${status}.`);
  }
}
