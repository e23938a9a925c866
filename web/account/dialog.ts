// A dialog that asks for confirmation before an action that cannot be undone.

import { type Child, h, uniqueId } from "./dom.js";

interface Question {
  title: string;
  text: Child[];
  /** The label of the button that confirms. */
  confirmLabel: string;
}

/** Whether the user confirms. The focus returns to where it was, unless the caller moves it. */
export function confirmDialog({ title, text, confirmLabel }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const [titleId, textId] = [uniqueId("title"), uniqueId("text")];
    const close = (answer: boolean) => () => dialog.close(answer ? "yes" : "");
    const dialog = h(
      "dialog",
      { "aria-labelledby": titleId, "aria-describedby": textId },
      h("h2", { id: titleId }, title),
      h("p", { id: textId }, ...text),
      h(
        "div",
        { class: "buttons" },
        // Cancel comes first and has the focus, so that a stray Enter destroys nothing.
        h("button", { type: "button", class: "secondary", autofocus: true, onclick: close(false) }, "Cancel"),
        h("button", { type: "button", class: "danger", onclick: close(true) }, confirmLabel),
      ),
    );
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
