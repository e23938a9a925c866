// The account page: the sign-in form or, for a signed-in user, the sessions or the history of one session.

import type { EndReason } from "../client/client.js";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/sessions.css";
import "./styles/forms.css";
import "./styles/timeline.css";
import { client, fetchOverview, type Overview } from "./api.js";
import { byId, focus, h, showMain } from "./dom.js";
import { errorMessage, isSignedOut } from "./errors.js";
import { eventList } from "./events.js";
import { showHistory } from "./history-view.js";
import { icon } from "./icons.js";
import { passwordForm } from "./password.js";
import { replayWarnings } from "./replay-warnings.js";
import { endedSessions, liveSessions } from "./sessions.js";
import { showSignIn } from "./sign-in.js";
import { keepTimesCurrent } from "./times.js";

const HISTORY_HASH = /^#session\/([\w-]+)$/;
const STALE_AFTER_MS = 60_000; // a page that is older loads again when the user returns to it
const RETRY_INTERVAL_MS = 5_000; // between automatic attempts while the service cannot be reached
const MANUAL_RETRY_MS = 8_000; // how long "Try again" tries before it gives up
let signedIn = false;
let loadedAt = 0;

const onSignedOut = (reason?: EndReason) => {
  // The client reports the reason before the request fails, and that report counts.
  if (!signedIn && !reason) return;
  signedIn = false;
  document.querySelector("dialog")?.close();
  showSignIn(onSignedIn, reason ?? "invalid");
};

function onSignedIn() {
  signedIn = true;
  void showRoute({ moveFocus: true });
}

/** Show the view that the URL's hash names. With `moveFocus` its heading gets the focus. */
async function showRoute({ moveFocus = false } = {}) {
  const id = HISTORY_HASH.exec(location.hash)?.[1];
  renderHeader();
  if (id) await showHistory(id, { onSignedOut, onUsername: renderHeader });
  else await showAccount(moveFocus);
}

async function showAccount(moveFocus: boolean) {
  document.title = "Your account - Kindred";
  if (!document.querySelector(".account, .failure")) showMain(skeleton());
  try {
    const overview = await fetchOverview(20);
    if (!signedIn || HISTORY_HASH.test(location.hash)) return;
    loadedAt = Date.now();
    if (!overview.viewer) return onSignedOut();
    renderHeader(overview.viewer.username);
    showMain(renderAccount(overview));
    if (location.hash === "#password") return focus(byId("password"));
    if (moveFocus) focus(document.querySelector("h1"));
  } catch (error) {
    if (isSignedOut(error)) return onSignedOut();
    showFailure(error);
  }
}

function renderAccount({ viewer, sessions, ended, securityEvents }: Overview) {
  const onPasswordChanged = async () => {
    await showAccount(false);
    focus(byId("password"));
  };
  return h(
    "div",
    { class: "account" },
    h("h1", { tabindex: -1 }, "Your account"),
    h("div", { id: "warnings" }, replayWarnings(ended)),
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        {},
        liveSessions(sessions, { onSignedOut, onChanged: refreshSidePanels }),
        h("div", { id: "ended" }, endedSessions(ended)),
      ),
      h(
        "div",
        {},
        h("div", { id: "activity" }, eventList(securityEvents, onSignedOut)),
        passwordForm(viewer.username, { onSignedOut, onChanged: onPasswordChanged }),
      ),
    ),
  );
}

/** Load the panels beside the live sessions again, after a session has ended. */
async function refreshSidePanels() {
  const overview = await fetchOverview(1).catch(() => null);
  if (!overview?.viewer || !document.querySelector(".account")) return;
  const ended = endedSessions(overview.ended);
  byId("warnings").replaceChildren(...replayWarnings(overview.ended));
  byId("ended").replaceChildren(...(ended ? [ended] : []));
  byId("activity").replaceChildren(eventList(overview.securityEvents, onSignedOut));
}

/** The user's name and the sign-out button. The header does not change until the name does. */
function renderHeader(username?: string) {
  const header = byId("user");
  if (header.childElementCount && (!username || header.dataset.username === username)) return;
  if (username) header.dataset.username = username;
  const signOut = h("button", { type: "button", class: "secondary" }, "Sign out");
  signOut.addEventListener("click", () => {
    signOut.disabled = true;
    void client.logout();
  });
  header.replaceChildren(h("span", { class: "username" }, username ?? ""), signOut);
}

const placeholder = () => h("div", { class: "card placeholder" });

/** As large as the account that replaces it, so that nothing moves. */
const skeleton = () =>
  h(
    "div",
    { class: "account", "aria-busy": "true" },
    h("h1", { tabindex: -1 }, "Your account"),
    h("p", { class: "visually-hidden" }, "Loading your sessions"),
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        {},
        h(
          "section",
          {},
          h("div", { class: "section-head" }, h("h2", {}, "Signed in now")),
          h("div", { class: "cards" }, placeholder(), placeholder()),
        ),
      ),
      h("div", {}, h("div", { id: "activity" }, h("section", {}, h("h2", {}, "Recent activity"), placeholder()))),
    ),
  );

let retryTimer: ReturnType<typeof setTimeout>;

/** Show why nothing can be shown. The page tries again by itself; the client limits the rate of requests. */
function showFailure(error: unknown) {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(() => document.querySelector(".failure") && void start(), RETRY_INTERVAL_MS);
  if (document.querySelector(".failure")) return;
  const retry = h("button", { type: "button" }, "Try again");
  retry.addEventListener("click", async () => {
    retry.disabled = true;
    retry.textContent = "Trying";
    await start(MANUAL_RETRY_MS);
    retry.disabled = false;
    retry.textContent = "Try again";
  });
  showMain(
    h(
      "div",
      { class: "narrow failure", role: "alert" },
      icon("cloud"),
      h("h1", {}, "Your account cannot be shown"),
      h("p", { class: "lead" }, errorMessage(error)),
      retry,
    ),
  );
  retry.focus();
}

async function start(retryForMs = 0): Promise<void> {
  const until = Date.now() + retryForMs;
  for (;;) {
    try {
      if (await client.getAccessToken()) return onSignedIn();
      // Do not replace a form that already says why the session ended.
      if (!signedIn && !document.querySelector(".sign-in")) showSignIn(onSignedIn);
      return;
    } catch (error) {
      if (Date.now() >= until) return showFailure(error);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault(); // the hash names the view
  focus(byId("main"));
});
client.onSessionEnded(onSignedOut);
addEventListener("hashchange", () => signedIn && void showRoute({ moveFocus: true }));
document.addEventListener("visibilitychange", () => {
  // Do not reload while the user is doing something.
  const isIdle = document.activeElement === document.body || document.activeElement?.tagName === "H1";
  const isStale = Date.now() - loadedAt > STALE_AFTER_MS;
  const isVisible = document.visibilityState === "visible";
  if (signedIn && isVisible && isStale && isIdle && !HISTORY_HASH.test(location.hash)) void showRoute();
});
keepTimesCurrent();
void start();
