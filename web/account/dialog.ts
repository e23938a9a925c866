// A question before something is done that cannot be undone.

import { type Child, fresh, h } from "./dom.js";

interface Question {
  title: string;
  text: Child[];
  /** What the button says that does it. */
  act: string;
}

/** Whether the person confirms. The focus goes back to where it was, unless the caller moves it. */
export function confirmed({ title, text, act }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const [heading, body] = [fresh("title"), fresh("text")];
    const close = (answer: boolean) => () => dialog.close(answer ? "yes" : "");
    const dialog = h(
      "dialog",
      { "aria-labelledby": heading, "aria-describedby": body },
      h("h2", { id: heading }, title),
      h("p", { id: body }, ...text),
      h(
        "div",
        { class: "buttons" },
        // The way back comes first, and has the focus.
        h("button", { type: "button", class: "quiet", autofocus: true, onclick: close(false) }, "Cancel"),
        h("button", { type: "button", class: "grave", onclick: close(true) }, act),
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
