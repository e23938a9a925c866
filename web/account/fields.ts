// Form fields, and the countdown of a button after too many attempts.

import { h, uniqueId } from "./dom.js";
import { duration } from "./times.js";

export interface Field {
  element: HTMLElement;
  input: HTMLInputElement;
  /** Show what is wrong with the value, below the field. An empty text clears the error. */
  setError(text: string): void;
}

/** A labelled input. A password field gets a button that shows the password. */
export function field(label: string, attributes: Record<string, string | number | boolean>, ...below: Node[]): Field {
  const inputId = uniqueId("field");
  const labelId = uniqueId("label");
  const errorId = uniqueId("error");
  const input = h("input", { id: inputId, type: "text", "aria-describedby": errorId, ...attributes });
  const error = h("p", { class: "field-error", id: errorId });
  const element = h(
    "div",
    {},
    h("label", { for: inputId, id: labelId }, label),
    h("div", { class: "input" }, input, attributes.type === "password" && showPasswordButton(input, labelId)),
    ...below,
    error,
  );
  return {
    element,
    input,
    setError(text) {
      error.textContent = text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

function showPasswordButton(input: HTMLInputElement, labelId: string) {
  const button = h("button", { type: "button", class: "show", "aria-describedby": labelId }, "Show");
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
  });
  return button;
}

/** Disable a button for this many seconds, and count them down on it. The error text gives the reason once. */
export function countDown(button: HTMLButtonElement, label: string, error: HTMLElement, seconds: number) {
  const until = Date.now() + 1000 * seconds;
  error.textContent = `Too many attempts. Try again in ${duration(seconds)}.`;
  button.disabled = true;
  function tick() {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0 && button.isConnected) {
      button.textContent = `Wait ${duration(left)}`;
      setTimeout(tick, 250);
      return;
    }
    button.disabled = false;
    button.textContent = label;
    error.textContent = "";
  }
  tick();
}
