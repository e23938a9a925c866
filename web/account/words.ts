// What the service's codes mean, in plain words.

import type { EndReason } from "../client/client.js";
import type { Icon } from "./icons.js";

/** Why this browser's session is no more. Null: its owner signed out, and knows. */
export const SIGNED_OUT: Record<EndReason, { title: string; text: string; grave: boolean } | null> = {
  "signed-out": null,
  replayed: {
    title: "This session was ended for your safety",
    text:
      "Its token was used twice, so somebody else may have had a copy. Sign in to see what happened, and change your " +
      "password if you do not recognise it.",
    grave: true,
  },
  revoked: {
    title: "This session was ended",
    text:
      "You ended it from another device, the password was changed, or an administrator ended it. Sign in to continue.",
    grave: false,
  },
  expired: {
    title: "This session has expired",
    text: "It was not used for a long time, or had reached its limit. Sign in to continue.",
    grave: false,
  },
  invalid: {
    title: "You are signed out",
    text: "This browser's session is no longer known here. Sign in to continue.",
    grave: false,
  },
};

/** Why a session was ended, by `revocationReason`. */
export const ENDED: Record<string, string> = {
  REVOKED_BY_USER: "You signed out or ended it",
  REFRESH_TOKEN_REPLAYED: "Its token was used twice",
  PASSWORD_CHANGED: "The password was changed",
  USER_DISABLED: "The account was disabled",
  SESSION_LIMIT: "There were too many sessions",
  REVOKED_BY_OPERATOR: "An administrator ended it",
};

/** What happened, by an event's kind. */
export const HAPPENED: Record<string, { text: string; icon: Icon; tone: "good" | "plain" | "grave" }> = {
  LOGIN_SUCCEEDED: { text: "Signed in", icon: "tick", tone: "good" },
  LOGIN_FAILED: { text: "Somebody gave a wrong password", icon: "cross", tone: "grave" },
  LOGIN_THROTTLED: { text: "Too many wrong passwords, so further tries had to wait", icon: "clock", tone: "grave" },
  REFRESH_TOKEN_REPLAYED: { text: "A token was used twice, so its session was ended", icon: "shield", tone: "grave" },
  SESSION_REVOKED: { text: "A session was ended", icon: "door", tone: "plain" },
  PASSWORD_CHANGED: { text: "The password was changed", icon: "key", tone: "plain" },
  USER_DISABLED: { text: "The account was disabled", icon: "cross", tone: "grave" },
};

export const UNREACHABLE = "The service cannot be reached just now. Nothing is lost; try again in a moment.";
