// Failed requests: what they mean, and how the page reports them.

import { GraphQLFailure } from "../client/client.js";
import { announce } from "./dom.js";
import { UNREACHABLE } from "./texts.js";

/** Whether a request failed because the user is not signed in. */
export const isSignedOut = (error: unknown) =>
  error instanceof GraphQLFailure && error.errors.some(({ extensions }) => extensions?.code === "UNAUTHENTICATED");

/** A sentence for the user. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof GraphQLFailure)) return UNREACHABLE;
  const code = error.errors[0]?.extensions?.code;
  if (code === "BAD_USER_INPUT") return error.message;
  return code && code !== "UNAVAILABLE" ? `The service refused this. ${error.message}` : UNREACHABLE;
}

/** Announce that an action failed, or go back to the sign-in form if the user is not signed in. */
export function reportError(error: unknown, onSignedOut: () => void) {
  if (isSignedOut(error)) onSignedOut();
  else announce(errorMessage(error));
}
