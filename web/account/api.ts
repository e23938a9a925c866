// The requests of the page, one function each.

import { createClient } from "../client/client.js";
import CHANGE_PASSWORD from "./documents/change-password.graphql";
import CHECK_PASSWORD from "./documents/check-password.graphql";
import OVERVIEW from "./documents/overview.graphql";
import RENAME_SESSION from "./documents/rename-session.graphql";
import REVOKE_OTHER_SESSIONS from "./documents/revoke-other-sessions.graphql";
import REVOKE_SESSION from "./documents/revoke-session.graphql";
import SECURITY_EVENTS from "./documents/security-events.graphql";
import SESSION_HISTORY from "./documents/session-history.graphql";
import SESSIONS from "./documents/sessions.graphql";
import type { Outcome, Page, SecurityEvent, Session, SessionHistory, Viewer } from "./types.js";

// Relative to the page, so that it works behind a proxy that serves Kindred under a path prefix.
export const client = createClient({ url: new URL(".", location.href).href, delivery: "cookie" });

export interface Overview {
  viewer: Viewer;
  sessions: Page<Session>;
  ended: Page<Session>;
  securityEvents: Page<SecurityEvent>;
}

export const fetchOverview = (first: number) => client.graphql<Overview>(OVERVIEW, { first });

export async function fetchSessions(after: string | null) {
  const { sessions } = await client.graphql<{ sessions: Page<Session> }>(SESSIONS, { after });
  return sessions;
}

export async function fetchEvents(after: string | null, first = 20) {
  const data = await client.graphql<{ securityEvents: Page<SecurityEvent> }>(SECURITY_EVENTS, { after, first });
  return data.securityEvents;
}

export const fetchHistory = (id: string) =>
  client.graphql<{ viewer: Viewer; session: SessionHistory | null }>(SESSION_HISTORY, { id });

export async function renameSession(id: string, deviceName: string) {
  const variables = { input: { id, deviceName } };
  const data = await client.graphql<{ renameSession: Outcome & { session?: Session } }>(RENAME_SESSION, variables);
  return data.renameSession;
}

export async function revokeSession(id: string) {
  const data = await client.graphql<{ revokeSession: Outcome }>(REVOKE_SESSION, { input: { id } });
  return data.revokeSession;
}

/** Returns the number of revoked sessions. */
export async function revokeOtherSessions() {
  const data = await client.graphql<{ revokeOtherSessions: { revokedCount: number } }>(REVOKE_OTHER_SESSIONS);
  return data.revokeOtherSessions.revokedCount;
}

export async function changePassword(currentPassword: string, newPassword: string) {
  const variables = { input: { currentPassword, newPassword } };
  const data = await client.graphql<{ changePassword: Outcome & { revokedCount?: number } }>(
    CHANGE_PASSWORD,
    variables,
  );
  return data.changePassword;
}

/** The service's opinion of a password. It changes nothing. */
export async function checkPassword(newPassword: string) {
  const variables = { input: { newPassword } };
  const data = await client.graphql<{ checkPassword: { strength: number; weakness: string | null } }>(
    CHECK_PASSWORD,
    variables,
  );
  return data.checkPassword;
}
