// Fields of forms, and forms that have to wait.

import { fresh, h } from "./dom.js";
import { wait } from "./times.js";

export interface Field {
  box: HTMLElement;
  input: HTMLInputElement;
  /** Says below the field what is wrong with it; nothing is wrong with an empty text. */
  complain(text: string): void;
}

/** A labelled input; a password's has a button that shows it. */
export function field(label: string, attributes: Record<string, string | number | boolean>, ...below: Node[]): Field {
  const [id, name, hint] = [fresh("field"), fresh("label"), fresh("hint")] as const;
  const input = h("input", { id, type: "text", "aria-describedby": hint, ...attributes });
  const complaint = h("p", { class: "complaint", id: hint });
  const box = h(
    "div",
    { class: "field" },
    h("label", { for: id, id: name }, label),
    h("div", { class: "input" }, input, attributes.type === "password" && shower(input, name)),
    ...below,
    complaint,
  );
  return {
    box,
    input,
    complain(text) {
      complaint.textContent = text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

function shower(input: HTMLInputElement, label: string) {
  const button = h("button", { type: "button", class: "show", "aria-describedby": label }, "Show");
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
  });
  return button;
}

/** Holds a button back for so many seconds, and counts them down on it. The reason is said once. */
export function locked(button: HTMLButtonElement, label: string, problem: HTMLElement, seconds: number) {
  const until = Date.now() + 1000 * seconds;
  problem.textContent = `There were too many tries. Please wait ${wait(seconds)} before the next.`;
  button.disabled = true;
  function tick() {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0 && button.isConnected) {
      button.textContent = `Wait ${wait(left)}`;
      setTimeout(tick, 250);
      return;
    }
    button.disabled = false;
    button.textContent = label;
    problem.textContent = "";
  }
  tick();
}
