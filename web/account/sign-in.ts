// Signing in, and why it has to be done again.

import type { EndReason } from "../client/client.js";
import { client, why } from "./api.js";
import { byId, fresh, h, show } from "./dom.js";
import { field, locked } from "./fields.js";
import { icon } from "./icons.js";
import { SIGNED_OUT } from "./words.js";

let lastName = "";

export function signIn(entered: () => void, reason?: EndReason) {
  document.title = "Sign in - Kindred";
  byId("who").replaceChildren();
  const username = field("Username", {
    name: "username",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: 128,
    value: lastName,
  });
  const password = field("Password", { name: "password", type: "password", autocomplete: "current-password" });
  const problem = h("p", { class: "problem", id: fresh("problem"), role: "alert" });
  const button = h("button", { class: "main" }, "Sign in");

  async function submit(event: Event) {
    event.preventDefault();
    if (button.disabled) return;
    problem.textContent = "";
    const missing = [username, password].find((one) => !one.input.value);
    if (missing) {
      problem.textContent = "Give both your username and your password.";
      return missing.input.focus();
    }
    lastName = username.input.value;
    button.disabled = true;
    button.textContent = "Signing in";
    try {
      const answer = await client.login({ username: lastName, password: password.input.value });
      if (answer.ok) return entered();
      if (answer.retryAfter) {
        // Until it counts down to nothing the button stays as it is.
        return void locked(button, "Sign in", problem, answer.retryAfter);
      }
      problem.textContent = answer.message;
      password.input.select();
      password.input.focus();
    } catch (error) {
      problem.textContent = why(error);
    }
    button.disabled = false;
    button.textContent = "Sign in";
  }

  const notice = reason && SIGNED_OUT[reason];
  show(
    h(
      "div",
      { class: "narrow" },
      notice &&
        h(
          "section",
          { class: notice.grave ? "notice grave" : "notice", "aria-labelledby": "why" },
          icon(notice.grave ? "shield" : "clock"),
          h("div", {}, h("h2", { id: "why" }, notice.title), h("p", {}, notice.text)),
        ),
      h(
        "form",
        { class: "card sign-in", novalidate: true, onsubmit: submit, "aria-labelledby": "sign-in" },
        h("h1", { id: "sign-in" }, "Sign in"),
        h("p", { class: "lead" }, "to see where you are signed in, and to end what you do not recognise."),
        username.box,
        password.box,
        problem,
        button,
      ),
    ),
  );
  if (reason === "signed-out") return byId("sign-in").setAttribute("tabindex", "-1"), byId("sign-in").focus();
  (lastName ? password : username).input.focus();
}
