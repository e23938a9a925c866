// The account page: who is not signed in signs in; who is sees their sessions, or the history of one.

import type { EndReason } from "../client/client.js";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/sessions.css";
import "./styles/forms.css";
import "./styles/line.css";
import { client, isSignedOut, overview, type Overview, why } from "./api.js";
import { byId, focus, h, show } from "./dom.js";
import { eventList } from "./events.js";
import { historyView } from "./history.js";
import { icon } from "./icons.js";
import { passwordForm } from "./password.js";
import { endedSessions, liveSessions, replayWarnings } from "./sessions.js";
import { signIn } from "./sign-in.js";
import { keepCurrent } from "./times.js";

const HISTORY = /^#session\/([\w-]+)$/;
const STALE = 60_000; // milliseconds after which a page that is looked at again asks anew
let signedIn = false;
let loadedAt = 0;

const signedOut = (reason?: EndReason) => {
  // The client tells why, before what was asked fails for it.
  if (!signedIn && !reason) return;
  signedIn = false;
  document.querySelector("dialog")?.close();
  signIn(entered, reason ?? "invalid");
};

function entered() {
  signedIn = true;
  void view({ moved: true });
}

/** What the address asks for. With `moved` the focus goes to its heading. */
async function view({ moved = false } = {}) {
  const id = HISTORY.exec(location.hash)?.[1];
  if (id) {
    head();
    return historyView(id, { signedOut, named: head });
  }
  await account(moved);
}

async function account(moved: boolean) {
  document.title = "Your account - Kindred";
  head();
  if (!document.querySelector(".account, .failure")) show(skeleton());
  try {
    const found = await overview(20);
    if (!signedIn || HISTORY.test(location.hash)) return;
    loadedAt = Date.now();
    if (!found.viewer) return signedOut();
    head(found.viewer.username);
    show(whole(found));
    if (location.hash === "#password") return focus(byId("password"));
    if (moved) focus(document.querySelector("h1"));
  } catch (error) {
    if (isSignedOut(error)) return signedIn ? signedOut() : undefined;
    failure(error);
  }
}

function whole(found: Overview) {
  const doings = { signedOut, changed: () => void besides() };
  return h(
    "div",
    { class: "account" },
    h("h1", { tabindex: -1 }, "Your account"),
    h("div", { id: "warnings" }, replayWarnings(found)),
    h(
      "div",
      { class: "columns" },
      h("div", {}, liveSessions(found.sessions, doings), h("div", { id: "ended" }, endedSessions(found.ended))),
      h(
        "div",
        {},
        h("div", { id: "activity" }, eventList(found.securityEvents, signedOut)),
        passwordForm(found.viewer.username, {
          signedOut,
          changed: () => void account(false).then(() => focus(byId("password"))),
        }),
      ),
    ),
  );
}

/** What stands beside the live sessions anew, after one of them has ended. */
async function besides() {
  const found = await overview(1).catch(() => null);
  if (!found?.viewer || !document.querySelector(".account")) return;
  byId("warnings").replaceChildren(...replayWarnings(found));
  byId("ended").replaceChildren(...[endedSessions(found.ended)].filter((one) => one !== null));
  byId("activity").replaceChildren(eventList(found.securityEvents, signedOut));
}

function head(username?: string) {
  const who = byId("who");
  if (who.childElementCount && (!username || who.dataset.of === username)) return;
  if (username) who.dataset.of = username;
  const leave = h("button", { type: "button", class: "quiet" }, "Sign out");
  leave.addEventListener("click", () => {
    leave.disabled = true;
    void client.logout();
  });
  who.replaceChildren(h("span", { class: "username" }, username ?? ""), leave);
}

const ghost = () => h("div", { class: "card ghost" });

/** As large as what will stand there. */
const skeleton = () =>
  h(
    "div",
    { class: "account", "aria-busy": "true" },
    h("h1", { tabindex: -1 }, "Your account"),
    h("p", { class: "unseen" }, "Loading your sessions"),
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        {},
        h(
          "section",
          {},
          h("div", { class: "head" }, h("h2", {}, "Signed in now")),
          h("div", { class: "cards" }, ghost(), ghost()),
        ),
      ),
      h("div", {}, h("div", { id: "activity" }, h("section", {}, h("h2", {}, "Recent activity"), ghost()))),
    ),
  );

const PATIENCE = 8_000; // milliseconds that somebody who asks for another try is kept waiting for it
let nextTry: ReturnType<typeof setTimeout>;

/** For when there is nothing to show. It tries again by itself, which the client keeps from being too often. */
function failure(error: unknown) {
  clearTimeout(nextTry);
  nextTry = setTimeout(() => document.querySelector(".failure") && void start(), 5_000);
  if (document.querySelector(".failure")) return;
  const again = h("button", { type: "button", class: "main" }, "Try again");
  again.addEventListener("click", async () => {
    again.disabled = true;
    again.textContent = "Trying";
    await start(PATIENCE);
    again.disabled = false;
    again.textContent = "Try again";
  });
  show(
    h(
      "div",
      { class: "narrow failure", role: "alert" },
      icon("cloud"),
      h("h1", {}, "Your account cannot be shown"),
      h("p", { class: "lead" }, why(error)),
      again,
    ),
  );
  again.focus();
}

async function start(patience = 0): Promise<void> {
  const until = Date.now() + patience;
  for (;;) {
    try {
      if (await client.getAccessToken()) return entered();
      // Unless it was just found out why, and is there to be read.
      return signedIn || document.querySelector(".sign-in") ? undefined : signIn(entered);
    } catch (error) {
      if (Date.now() >= until) return failure(error);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault(); // the address tells what is shown
  focus(byId("main"));
});
client.onSessionEnded((reason) => signedOut(reason));
addEventListener("hashchange", () => signedIn && void view({ moved: true }));
document.addEventListener("visibilitychange", () => {
  // Not under the hands of somebody who is about to do something.
  const idle = document.activeElement === document.body || document.activeElement?.tagName === "H1";
  const stale = Date.now() - loadedAt > STALE;
  if (signedIn && document.visibilityState === "visible" && stale && idle && !HISTORY.test(location.hash)) void view();
});
keepCurrent();
void start();
