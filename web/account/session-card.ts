// One live session as a card: its device, a name that the user can edit, and the button that ends it.

import { client, renameSession, revokeSession } from "./api.js";
import { DEVICE_KINDS, deviceKind } from "./devices.js";
import { confirmDialog } from "./dialog.js";
import { announce, h } from "./dom.js";
import { reportError } from "./errors.js";
import { icon } from "./icons.js";
import { ago, date } from "./times.js";
import type { Session } from "./types.js";

interface Callbacks {
  /** The session is revoked or does not exist, so the card leaves the list. */
  onRevoked(card: HTMLElement): void;
  onSignedOut(): void;
}

const NO_SUCH_SESSION = "This session no longer exists.";

export function sessionCard(session: Session, callbacks: Callbacks): HTMLElement {
  const { isCurrent, userAgent } = session;
  const kind = deviceKind(userAgent);
  const card = h(
    "li",
    { class: isCurrent ? "card session current" : "card session", "data-id": session.id },
    h(
      "span",
      { class: "kind", title: DEVICE_KINDS[kind] },
      icon(kind),
      h("span", { class: "visually-hidden" }, DEVICE_KINDS[kind]),
    ),
    h(
      "div",
      {},
      sessionName(session, callbacks, (renamed) => {
        const newCard = sessionCard(renamed, callbacks);
        card.replaceWith(newCard);
        newCard.querySelector<HTMLElement>(".small")?.focus();
      }),
      isCurrent && h("p", { class: "badge" }, "This device"),
      h("p", { class: "used" }, "Last used ", ago(session.lastUsedAt)),
    ),
    isCurrent ? signOutButton() : endButton(session, callbacks),
    h(
      "div",
      { class: "foot" },
      sessionFacts(session),
      h("a", { href: `#session/${session.id}` }, historyLabel(session)),
    ),
  );
  return card;
}

/** The session's name, with a button that turns it into a form. */
function sessionName(session: Session, callbacks: Callbacks, onRenamed: (session: Session) => void) {
  const { deviceName } = session;
  const editButton = h(
    "button",
    { type: "button", class: "small", title: "Rename", "aria-label": `Rename ${deviceName}`, onclick: edit },
    icon("pencil"),
  );
  const name = h("div", { class: "name" }, h("h3", { tabindex: -1 }, deviceName), editButton);

  function edit() {
    const input = h("input", {
      type: "text",
      value: deviceName,
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
    const form = h("form", { class: "name", novalidate: true, onsubmit: submit }, input, save, cancel);
    name.replaceWith(form);
    input.select();
    input.focus();

    function close() {
      form.replaceWith(name);
      editButton.focus();
    }

    async function submit(event: Event) {
      event.preventDefault();
      const newName = input.value.trim();
      if (newName === deviceName) return close();
      if (!newName) return announce("Enter a name.");
      save.disabled = true;
      try {
        const outcome = await renameSession(session.id, newName);
        if (!outcome.session) return announce(outcome.message ?? NO_SUCH_SESSION);
        onRenamed(outcome.session);
        announce(`The name is now ${outcome.session.deviceName}.`);
      } catch (error) {
        reportError(error, callbacks.onSignedOut);
      } finally {
        save.disabled = false;
      }
    }
  }

  return name;
}

function signOutButton() {
  const button = h(
    "button",
    { type: "button", class: "secondary end", "aria-label": "Sign out of this device" },
    "Sign out",
  );
  button.addEventListener("click", () => {
    button.disabled = true;
    void client.logout();
  });
  return button;
}

function endButton({ id, deviceName }: Session, { onRevoked, onSignedOut }: Callbacks) {
  const label = `End the session of ${deviceName}`;
  const button = h("button", { type: "button", class: "secondary end", "aria-label": label, onclick: end }, "End");

  async function end() {
    const confirmed = await confirmDialog({
      title: "End this session?",
      text: [h("strong", {}, deviceName), " will be signed out at once, and has to sign in again."],
      confirmLabel: "End session",
    });
    if (!confirmed) return;
    button.disabled = true;
    try {
      const { __typename, message } = await revokeSession(id);
      const revoked = __typename === "RevokeSessionSuccess";
      announce(revoked ? `The session of ${deviceName} has ended.` : (message ?? NO_SUCH_SESSION));
      onRevoked(button.closest("li")!);
    } catch (error) {
      reportError(error, onSignedOut);
      button.disabled = false;
    }
  }

  return button;
}

const historyLabel = (session: Session) => [
  "History",
  h("span", { class: "visually-hidden" }, ` of ${session.deviceName}, signed in `, date(session.createdAt)),
];

/** The session's address and dates, as a list of terms and values. */
export function sessionFacts(session: Session) {
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
