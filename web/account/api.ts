// What the page asks the service, and how it fails.

import { createClient, GraphQLFailure } from "../client/client.js";
import CHANGE_PASSWORD from "./documents/change-password.graphql";
import CHECK_PASSWORD from "./documents/check-password.graphql";
import END from "./documents/end.graphql";
import END_OTHERS from "./documents/end-others.graphql";
import MORE_EVENTS from "./documents/events.graphql";
import HISTORY from "./documents/history.graphql";
import OVERVIEW from "./documents/overview.graphql";
import RENAME from "./documents/rename.graphql";
import MORE_SESSIONS from "./documents/sessions.graphql";
import type { Outcome, Page, SecurityEvent, Session, SessionHistory, Viewer } from "./types.js";
import { UNREACHABLE } from "./words.js";

// Relative to the page, so that it also works behind a proxy that serves Kindred under a prefix.
export const client = createClient({ url: new URL(".", location.href).href, delivery: "cookie" });

export interface Overview {
  viewer: Viewer;
  sessions: Page<Session>;
  ended: Page<Session>;
  securityEvents: Page<SecurityEvent>;
}

export const overview = (first: number) => client.graphql<Overview>(OVERVIEW, { first });

export const moreSessions = async (after: string | null) =>
  (await client.graphql<{ sessions: Page<Session> }>(MORE_SESSIONS, { after })).sessions;

export const moreEvents = async (after: string | null, first = 20) =>
  (await client.graphql<{ securityEvents: Page<SecurityEvent> }>(MORE_EVENTS, { after, first })).securityEvents;

export const history = (id: string) =>
  client.graphql<{ viewer: Viewer; session: SessionHistory | null }>(HISTORY, { id });

export const rename = async (id: string, deviceName: string) =>
  (await client.graphql<{ renameSession: Outcome & { session?: Session } }>(RENAME, { input: { id, deviceName } }))
    .renameSession;

export const end = async (id: string) =>
  (await client.graphql<{ revokeSession: Outcome }>(END, { input: { id } })).revokeSession;

/** Returns how many it ended. */
export const endOthers = async () =>
  (await client.graphql<{ revokeOtherSessions: { revokedCount: number } }>(END_OTHERS)).revokeOtherSessions
    .revokedCount;

export const changePassword = async (currentPassword: string, newPassword: string) =>
  (
    await client.graphql<{ changePassword: Outcome & { revokedCount?: number } }>(CHANGE_PASSWORD, {
      input: { currentPassword, newPassword },
    })
  ).changePassword;

/** How the service judges a password. It sets none. */
export const checkPassword = async (newPassword: string) =>
  (
    await client.graphql<{ checkPassword: { strength: number; weakness: string | null } }>(CHECK_PASSWORD, {
      input: { newPassword },
    })
  ).checkPassword;

/** Whether what failed is that nobody is signed in. */
export const isSignedOut = (error: unknown) =>
  error instanceof GraphQLFailure && error.errors.some((one) => one.extensions?.code === "UNAUTHENTICATED");

/** What to tell a person about a failure. */
export function why(error: unknown): string {
  if (!(error instanceof GraphQLFailure)) return UNREACHABLE;
  const code = error.errors[0]?.extensions?.code;
  if (code === "BAD_USER_INPUT") return error.message;
  return code && code !== "UNAVAILABLE" ? `The service refused this. ${error.message}` : UNREACHABLE;
}
