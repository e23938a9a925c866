// The form that changes the password. The service rates the password: the page has no rules that could differ.

import { changePassword, checkPassword } from "./api.js";
import { announce, h } from "./dom.js";
import { errorMessage, isSignedOut } from "./errors.js";
import { countDown, field } from "./fields.js";
import type { Outcome } from "./types.js";

// By `strength`. The service accepts 2 and higher.
const STRENGTHS = ["Very weak", "Weak", "Good enough", "Strong", "Very strong"];
const TYPING_PAUSE_MS = 350; // without a key press, before the page asks the service
const RETRY_MS = 1_000;
const MAX_TRIES = 3;
const SUBMIT = "Change password";

interface Callbacks {
  onSignedOut(): void;
  /** The password is changed and other sessions are revoked. */
  onChanged(): void;
}

export function passwordForm(username: string, { onSignedOut, onChanged }: Callbacks): HTMLElement {
  const meter = strengthMeter(Number(document.body.dataset.passwordMinLength) || 8);
  const current = field("Current password", { type: "password", autocomplete: "current-password", name: "current" });
  const next = field("New password", { type: "password", autocomplete: "new-password", name: "new" }, meter.element);
  const problem = h("p", { class: "form-error", role: "alert" });
  const button = h("button", {}, SUBMIT);
  next.input.addEventListener("input", () => {
    next.setError("");
    meter.rate(next.input.value);
  });
  current.input.addEventListener("input", () => current.setError(""));

  function showOutcome(outcome: Outcome & { revokedCount?: number }) {
    const wrongField = { InvalidCredentialsError: current, WeakPasswordError: next }[outcome.__typename];
    if (wrongField) {
      wrongField.setError(outcome.message ?? "");
      wrongField.input.focus();
    } else if (outcome.revokedCount !== undefined) {
      form.reset();
      meter.rate("");
      announce(`The password is changed.${revokedText(outcome.revokedCount)}`);
      onChanged();
    } else {
      problem.textContent = outcome.message ?? outcome.__typename;
    }
  }

  async function submit(event: Event) {
    event.preventDefault();
    if (button.disabled) return;
    problem.textContent = "";
    const empty = [current, next].find(({ input }) => !input.value);
    if (empty) {
      empty.setError("Fill in this field.");
      return empty.input.focus();
    }
    button.disabled = true;
    try {
      const outcome = await changePassword(current.input.value, next.input.value);
      if (outcome.retryAfter) return countDown(button, SUBMIT, problem, outcome.retryAfter);
      showOutcome(outcome);
    } catch (error) {
      if (isSignedOut(error)) return onSignedOut();
      problem.textContent = errorMessage(error);
    }
    button.disabled = false;
  }

  const form = h(
    "form",
    { class: "card", novalidate: true, onsubmit: submit, "aria-labelledby": "password" },
    // Password managers need the username to know which entry to update.
    h("input", { type: "text", autocomplete: "username", value: username, hidden: true, readonly: true }),
    current.element,
    next.element,
    problem,
    button,
    h("p", { class: "muted" }, "A new password ends all your other sessions."),
  );
  const heading = h("h2", { id: "password", tabindex: -1 }, "Change password");
  return h("section", { "aria-labelledby": "password" }, heading, form);
}

function revokedText(count: number) {
  if (count === 0) return "";
  return count === 1 ? " One other session has ended." : ` ${count} other sessions have ended.`;
}

function strengthMeter(minLength: number) {
  const bars = h(
    "div",
    { class: "bars", "aria-hidden": "true" },
    STRENGTHS.map(() => h("span")),
  );
  const text = h("p", { class: "strength", role: "status" });
  const element = h("div", { class: "meter" }, bars, text);
  let timer: ReturnType<typeof setTimeout>;
  let lastRating = 0;

  function show(strength: number | null, sentence: string) {
    element.dataset.strength = strength === null ? "" : String(strength);
    if (text.textContent !== sentence) text.textContent = sentence;
  }

  function rate(password: string) {
    const rating = ++lastRating;
    clearTimeout(timer);
    if (!password) return show(null, `At least ${minLength} characters, and hard to guess.`);
    // The service counts code points after NFC normalization, so the page does the same.
    if ([...password.normalize("NFC")].length < minLength) return show(0, `At least ${minLength} characters.`);
    timer = setTimeout(() => askService(password, rating), TYPING_PAUSE_MS);
  }

  /** Show the service's rating, unless the password has changed since. */
  async function askService(password: string, rating: number) {
    for (let tries = MAX_TRIES; tries && rating === lastRating; tries--) {
      try {
        const { strength, weakness } = await checkPassword(password);
        if (rating === lastRating) show(strength, weakness ?? `${STRENGTHS[strength]}.`);
        return;
      } catch {
        // The service rates one password at a time, and may be busy with another user's.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    if (rating === lastRating) show(null, "The strength of the password cannot be checked now.");
  }

  rate("");
  return { element, rate };
}
