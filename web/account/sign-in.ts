// The sign-in form and, if a session has just ended, the reason.

import type { EndReason } from "../client/client.js";
import { client } from "./api.js";
import { byId, focus, h, showMain } from "./dom.js";
import { errorMessage } from "./errors.js";
import { countDown, field } from "./fields.js";
import { icon } from "./icons.js";
import { END_NOTICES } from "./texts.js";

const SUBMIT = "Sign in";
let lastUsername = "";

export function showSignIn(onSignedIn: () => void, reason?: EndReason) {
  document.title = "Sign in - Kindred";
  byId("user").replaceChildren();
  const username = usernameField();
  const password = field("Password", { name: "password", type: "password", autocomplete: "current-password" });
  const problem = h("p", { class: "form-error", role: "alert" });
  const button = h("button", {}, SUBMIT);

  async function submit(event: Event) {
    event.preventDefault();
    if (button.disabled) return;
    problem.textContent = "";
    const empty = [username, password].find(({ input }) => !input.value);
    if (empty) {
      problem.textContent = "Enter your username and your password.";
      return empty.input.focus();
    }
    lastUsername = username.input.value;
    button.disabled = true;
    button.textContent = "Signing in";
    try {
      const answer = await client.login({ username: lastUsername, password: password.input.value });
      if (answer.ok) return onSignedIn();
      if (answer.retryAfter) return countDown(button, SUBMIT, problem, answer.retryAfter);
      problem.textContent = answer.message;
      password.input.select();
      password.input.focus();
    } catch (error) {
      problem.textContent = errorMessage(error);
    }
    button.disabled = false;
    button.textContent = SUBMIT;
  }

  showMain(
    h(
      "div",
      { class: "narrow" },
      reason && endNotice(reason),
      h(
        "form",
        { class: "card sign-in", novalidate: true, onsubmit: submit, "aria-labelledby": "sign-in" },
        h("h1", { id: "sign-in" }, "Sign in"),
        h("p", { class: "lead" }, "See where you are signed in, and end the sessions that you do not recognise."),
        username.element,
        password.element,
        problem,
        button,
      ),
    ),
  );
  if (reason === "signed-out") focus(byId("sign-in"));
  else (lastUsername ? password : username).input.focus();
}

const usernameField = () =>
  field("Username", {
    name: "username",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: 128,
    value: lastUsername,
  });

/** Why the session ended. Null if the user signed out, and so knows. */
function endNotice(reason: EndReason) {
  const notice = END_NOTICES[reason];
  if (!notice) return null;
  return h(
    "section",
    { class: notice.danger ? "notice danger" : "notice", "aria-labelledby": "end-reason" },
    icon(notice.danger ? "shield" : "clock"),
    h("div", {}, h("h2", { id: "end-reason" }, notice.title), h("p", {}, notice.text)),
  );
}
