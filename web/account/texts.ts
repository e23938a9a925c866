// What the service's codes mean, in plain words.

import type { EndReason } from "../client/client.js";
import type { Icon } from "./icons.js";

interface EndNotice {
  title: string;
  text: string;
  danger: boolean;
}

/** Why this browser's session ended. Null if the user signed out, and so knows. */
export const END_NOTICES: Record<EndReason, EndNotice | null> = {
  "signed-out": null,
  replayed: {
    title: "This session was ended for your safety",
    text:
      "Its token was used twice, so another person may have a copy. Sign in to see what happened. Change your password " +
      "if you do not recognise it.",
    danger: true,
  },
  revoked: {
    title: "This session was ended",
    text: "You ended it on another device, the password was changed, or an administrator ended it. Sign in to continue.",
    danger: false,
  },
  expired: {
    title: "This session has expired",
    text: "It was not used for a long time, or it reached its time limit. Sign in to continue.",
    danger: false,
  },
  invalid: {
    title: "You are signed out",
    text: "The service does not know this browser's session any more. Sign in to continue.",
    danger: false,
  },
};

/** Why a session was revoked, by `revocationReason`. */
export const REVOCATION_TEXTS: Record<string, string> = {
  REVOKED_BY_USER: "You signed out or ended it",
  REFRESH_TOKEN_REPLAYED: "Its token was used twice",
  PASSWORD_CHANGED: "The password was changed",
  USER_DISABLED: "The account was disabled",
  SESSION_LIMIT: "There were too many sessions",
  REVOKED_BY_OPERATOR: "An administrator ended it",
};

/** For a reason that this page does not know. */
export const DEFAULT_REVOCATION_TEXT = "It was ended";

/** The security events, by `kind`. */
export const EVENT_TEXTS: Record<string, { text: string; icon: Icon; tone: "good" | "neutral" | "danger" }> = {
  LOGIN_SUCCEEDED: { text: "Signed in", icon: "tick", tone: "good" },
  LOGIN_FAILED: { text: "Attempt to sign in with a wrong password", icon: "cross", tone: "danger" },
  LOGIN_THROTTLED: { text: "Too many wrong passwords, so further attempts had to wait", icon: "clock", tone: "danger" },
  REFRESH_TOKEN_REPLAYED: { text: "A token was used twice, so its session was ended", icon: "shield", tone: "danger" },
  SESSION_REVOKED: { text: "A session was ended", icon: "exit", tone: "neutral" },
  PASSWORD_CHANGED: { text: "The password was changed", icon: "key", tone: "neutral" },
  USER_DISABLED: { text: "The account was disabled", icon: "cross", tone: "danger" },
};

export const UNREACHABLE = "The service cannot be reached. Nothing is lost. Try again in a moment.";
