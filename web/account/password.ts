// Changing the password. How strong it is the service says: the page has no rules of its own that could differ.

import { changePassword, checkPassword, isSignedOut, why } from "./api.js";
import { announce, h } from "./dom.js";
import { field, locked } from "./fields.js";

// By `strength`; the service takes what has 2 and more.
const LEVELS = ["Very weak", "Weak", "Good enough", "Strong", "Very strong"];
const PAUSE = 350; // milliseconds without a key until the service is asked

interface Doings {
  signedOut(): void;
  /** Other sessions have ended with the old password. */
  changed(): void;
}

export function passwordForm(username: string, doings: Doings): HTMLElement {
  const atLeast = Number(document.body.dataset.passwordMinLength) || 8;
  const meter = strengthMeter(atLeast);
  const current = field("Current password", { type: "password", autocomplete: "current-password", name: "current" });
  const next = field("New password", { type: "password", autocomplete: "new-password", name: "new" }, meter.box);
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { class: "main" }, "Change password");
  next.input.addEventListener("input", () => {
    next.complain("");
    meter.judge(next.input.value);
  });
  current.input.addEventListener("input", () => current.complain(""));

  async function submit(event: Event) {
    event.preventDefault();
    if (button.disabled) return;
    problem.textContent = "";
    const missing = [current, next].find((one) => !one.input.value);
    if (missing) {
      missing.complain("This is needed.");
      return missing.input.focus();
    }
    button.disabled = true;
    try {
      const outcome = await changePassword(current.input.value, next.input.value);
      if (outcome.retryAfter) return void locked(button, "Change password", problem, outcome.retryAfter);
      const wrong = { InvalidCredentialsError: current, WeakPasswordError: next }[outcome.__typename];
      if (wrong) {
        wrong.complain(outcome.message ?? "");
        wrong.input.focus();
      } else if (outcome.revokedCount !== undefined) {
        form.reset();
        meter.judge("");
        const ended = ["", " One other session has ended."][outcome.revokedCount];
        announce(`The password is changed.${ended ?? ` ${outcome.revokedCount} other sessions have ended.`}`);
        doings.changed();
      } else {
        problem.textContent = outcome.message ?? outcome.__typename;
      }
    } catch (error) {
      if (isSignedOut(error)) return doings.signedOut();
      problem.textContent = why(error);
    }
    button.disabled = false;
  }

  const form = h(
    "form",
    { class: "card", novalidate: true, onsubmit: submit, "aria-labelledby": "password" },
    // For password managers, which want to know whose it is.
    h("input", { type: "text", autocomplete: "username", value: username, hidden: true, readonly: true }),
    current.box,
    next.box,
    problem,
    button,
    h("p", { class: "plain" }, "Every other session ends with the old password."),
  );
  const heading = h("h2", { id: "password", tabindex: -1 }, "Change password");
  return h("section", { "aria-labelledby": "password" }, heading, form);
}

function strengthMeter(atLeast: number) {
  const bars = h("div", { class: "bars", "aria-hidden": "true" }, LEVELS.map(() => h("span")));
  const says = h("p", { class: "says", role: "status" });
  const box = h("div", { class: "meter" }, bars, says);
  let timer: ReturnType<typeof setTimeout>;
  let newest = 0;

  function tell(strength: number | null, text: string) {
    box.dataset.strength = strength === null ? "" : String(strength);
    if (says.textContent !== text) says.textContent = text;
  }

  function judge(password: string) {
    const mine = ++newest;
    clearTimeout(timer);
    if (!password) return tell(null, `At least ${atLeast} characters, and hard to guess.`);
    // Code points of the form that the service hashes, so that it counts the same.
    if ([...password.normalize("NFC")].length < atLeast) return tell(0, `At least ${atLeast} characters.`);
    timer = setTimeout(async () => {
      for (let tries = 3; tries && mine === newest; tries--) {
        try {
          const { strength, weakness } = await checkPassword(password);
          if (mine === newest) tell(strength, weakness ?? `${LEVELS[strength]}.`);
          return;
        } catch {
          // It judges one at a time, and may be at somebody else's.
          await new Promise((resolve) => setTimeout(resolve, 1_000));
        }
      }
      if (mine === newest) tell(null, "How strong it is cannot be told just now.");
    }, PAUSE);
  }

  judge("");
  return { box, judge };
}
