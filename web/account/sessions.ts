// The lists of sessions: live ones as cards, twenty at a time, and those that were revoked recently.

import { fetchSessions, revokeOtherSessions } from "./api.js";
import { confirmDialog } from "./dialog.js";
import { announce, focus, h } from "./dom.js";
import { reportError } from "./errors.js";
import { icon } from "./icons.js";
import { fillByPages } from "./paging.js";
import { sessionCard } from "./session-card.js";
import { DEFAULT_REVOCATION_TEXT, REVOCATION_TEXTS } from "./texts.js";
import { ago } from "./times.js";
import type { Page, Session } from "./types.js";

interface Callbacks {
  onSignedOut(): void;
  /** Sessions were revoked, so other parts of the page are out of date. */
  onChanged(): void;
}

export function liveSessions(firstPage: Page<Session>, { onSignedOut, onChanged }: Callbacks): HTMLElement {
  const heading = h("h2", { id: "live-sessions", tabindex: -1 }, "Signed in now");
  const list = h("ul", { class: "cards", "aria-labelledby": "live-sessions" });
  const endOthers = h("button", { type: "button", class: "secondary", onclick: confirmEndOthers }, "End all others");
  const noOthers = h("p", { class: "muted" }, "You are not signed in anywhere else.");
  const more = fillByPages({
    list,
    firstPage,
    fetchPage: fetchSessions,
    renderItem: (session) => sessionCard(session, { onRevoked: removeCard, onSignedOut }),
    noun: "sessions",
    focusSelector: "h3",
    onAppended: showWhetherThereAreOthers,
    onSignedOut,
  });

  function showWhetherThereAreOthers() {
    endOthers.hidden = list.children.length < 2 && more.hidden;
    noOthers.hidden = !endOthers.hidden;
  }

  function removeCard(card: HTMLElement) {
    const next = card.nextElementSibling ?? card.previousElementSibling;
    card.remove();
    showWhetherThereAreOthers();
    focus(next?.querySelector("h3") ?? heading);
    onChanged();
  }

  async function confirmEndOthers() {
    const confirmed = await confirmDialog({
      title: "End all other sessions?",
      text: ["Every device except this one will be signed out at once."],
      confirmLabel: "End all others",
    });
    if (!confirmed) return;
    endOthers.disabled = true;
    try {
      const count = await revokeOtherSessions();
      announce(count === 1 ? "One other session has ended." : `${count} other sessions have ended.`);
      for (const card of [...list.children]) if (!card.classList.contains("current")) card.remove();
      more.hidden = true;
      showWhetherThereAreOthers();
      focus(heading);
      onChanged();
    } catch (error) {
      reportError(error, onSignedOut);
    } finally {
      endOthers.disabled = false;
    }
  }

  showWhetherThereAreOthers();
  const head = h("div", { class: "section-head" }, heading, endOthers);
  return h("section", { "aria-labelledby": "live-sessions" }, head, list, noOthers, more);
}

const FIRST_SHOWN = 5;

/** The sessions that were revoked before they expired, newest first. */
export function endedSessions(page: Page<Session>): HTMLElement | null {
  const sessions = page.edges.map(({ node }) => node).sort((a, b) => (a.revokedAt! < b.revokedAt! ? 1 : -1));
  if (!sessions.length) return null;
  const list = h("ul", { class: "rows card", "aria-labelledby": "ended-sessions" });
  const more = h("button", { type: "button", class: "secondary wide" }, "Show more");
  more.hidden = sessions.length <= FIRST_SHOWN;
  more.addEventListener("click", () => {
    list.append(...sessions.slice(FIRST_SHOWN).map(endedRow));
    more.hidden = true;
    focus(list.children[FIRST_SHOWN]?.querySelector("a"));
  });
  list.append(...sessions.slice(0, FIRST_SHOWN).map(endedRow));
  return h(
    "section",
    { "aria-labelledby": "ended-sessions" },
    h("h2", { id: "ended-sessions" }, "Recently ended"),
    list,
    more,
  );
}

function endedRow(session: Session) {
  const replayed = session.revocationReason === "REFRESH_TOKEN_REPLAYED";
  const reason = REVOCATION_TEXTS[session.revocationReason ?? ""] ?? DEFAULT_REVOCATION_TEXT;
  return h(
    "li",
    { class: replayed ? "danger" : "" },
    icon(replayed ? "shield" : "exit"),
    h(
      "div",
      {},
      h("a", { href: `#session/${session.id}` }, session.deviceName),
      h("p", {}, reason, ", ", ago(session.revokedAt ?? session.lastUsedAt)),
    ),
  );
}
