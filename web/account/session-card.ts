// One session: what it is, its name to change, and its end.

import { client, end, isSignedOut, rename, why } from "./api.js";
import { KINDS, kindOf } from "./devices.js";
import { confirmed } from "./dialog.js";
import { announce, h } from "./dom.js";
import { icon } from "./icons.js";
import { ago, date } from "./times.js";
import type { Session } from "./types.js";

interface Doings {
  /** It is no more, or not there: the card leaves the list. */
  gone(card: HTMLElement): void;
  /** Nobody is signed in any more. */
  signedOut(): void;
}

export function sessionCard(session: Session, doings: Doings): HTMLElement {
  const name = h("h3", { tabindex: -1 }, session.deviceName);
  const pencil = h(
    "button",
    { type: "button", class: "small", title: "Rename", "aria-label": `Rename ${session.deviceName}`, onclick: edit },
    icon("pencil"),
  );
  const heading = h("div", { class: "name" }, name, pencil);
  const ending = h(
    "button",
    {
      type: "button",
      class: "quiet end",
      "aria-label": session.isCurrent ? "Sign out of this device" : `End the session of ${session.deviceName}`,
      onclick: session.isCurrent ? signOut : stop,
    },
    session.isCurrent ? "Sign out" : "End",
  );
  const kind = kindOf(session.userAgent);
  const card = h(
    "li",
    { class: session.isCurrent ? "card session current" : "card session", "data-id": session.id },
    h("span", { class: "kind", title: KINDS[kind] }, icon(kind), h("span", { class: "unseen" }, KINDS[kind])),
    h(
      "div",
      { class: "about" },
      heading,
      session.isCurrent && h("p", { class: "badge" }, "This device"),
      h("p", { class: "used" }, "Last used ", ago(session.lastUsedAt)),
    ),
    ending,
    h("div", { class: "foot" }, facts(session), h("a", { href: `#session/${session.id}` }, historyLabel(session))),
  );

  function edit() {
    const input = h("input", {
      type: "text",
      value: session.deviceName,
      maxlength: 100,
      "aria-label": "Name of this session",
      autocomplete: "off",
      onkeydown: (event: KeyboardEvent) => event.key === "Escape" && close(),
    });
    const save = h("button", { class: "small", title: "Save", "aria-label": "Save the name" }, icon("tick"));
    const cancel = h(
      "button",
      { type: "button", class: "small", title: "Cancel", "aria-label": "Keep the old name", onclick: close },
      icon("cross"),
    );
    const form = h("form", { class: "name", novalidate: true, onsubmit: store }, input, save, cancel);
    heading.replaceWith(form);
    input.select();
    input.focus();

    function close() {
      form.replaceWith(heading);
      pencil.focus();
    }

    async function store(event: Event) {
      event.preventDefault();
      const wanted = input.value.trim();
      if (wanted === session.deviceName) return close();
      if (!wanted) return announce("A name has at least one character.");
      save.disabled = true;
      try {
        const outcome = await rename(session.id, wanted);
        if (!outcome.session) return announce(outcome.message ?? "That session is not there any more.");
        const fresh = sessionCard(outcome.session, doings);
        card.replaceWith(fresh);
        fresh.querySelector<HTMLElement>(".small")?.focus();
        announce(`The name is now ${outcome.session.deviceName}.`);
      } catch (error) {
        failed(error);
      } finally {
        save.disabled = false;
      }
    }
  }

  async function stop() {
    const sure = await confirmed({
      title: "End this session?",
      text: [h("strong", {}, session.deviceName), " will be signed out at once, and has to sign in again."],
      act: "End session",
    });
    if (!sure) return;
    ending.disabled = true;
    try {
      const outcome = await end(session.id);
      announce(
        outcome.__typename === "RevokeSessionSuccess"
          ? `The session of ${session.deviceName} has ended.`
          : (outcome.message ?? "That session is not there any more."),
      );
      doings.gone(card);
    } catch (error) {
      failed(error);
      ending.disabled = false;
    }
  }

  function signOut() {
    ending.disabled = true;
    void client.logout();
  }

  function failed(error: unknown) {
    if (isSignedOut(error)) doings.signedOut();
    else announce(why(error));
  }

  return card;
}

const historyLabel = (session: Session) => [
  "History",
  h("span", { class: "unseen" }, ` of ${session.deviceName}, signed in `, date(session.createdAt)),
];

/** What is known of a session, as terms and values. */
export function facts(session: Session) {
  const rows: [string, Node | string][] = [
    ["Address", session.ipAddress ?? "not recorded"],
    ["Signed in", date(session.createdAt)],
    session.revokedAt ? ["Ended", date(session.revokedAt)] : ["Ends", date(session.expiresAt)],
  ];
  return h(
    "dl",
    {},
    rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
  );
}
