// The sessions: live ones as cards, twenty at a time, and those that ended lately.

import { endOthers, isSignedOut, moreSessions, type Overview, why } from "./api.js";
import { confirmed } from "./dialog.js";
import { announce, focus, h } from "./dom.js";
import { icon } from "./icons.js";
import { sessionCard } from "./session-card.js";
import { ago } from "./times.js";
import type { Page, Session } from "./types.js";
import { ENDED } from "./words.js";

interface Doings {
  signedOut(): void;
  /** What the page shows is out of date. */
  changed(): void;
}

export function liveSessions(first: Page<Session>, doings: Doings): HTMLElement {
  const heading = h("h2", { id: "live-sessions", tabindex: -1 }, "Signed in now");
  const list = h("ul", { class: "cards", "aria-labelledby": "live-sessions" });
  const more = h("button", { type: "button", class: "quiet wide", onclick: showMore }, "Show more");
  const others = h("button", { type: "button", class: "quiet", onclick: stopOthers }, "End all others");
  const alone = h("p", { class: "plain" }, "You are signed in nowhere else.");
  let { endCursor } = first.pageInfo;

  const card = (session: Session) => sessionCard(session, { gone, signedOut: doings.signedOut });

  function put(page: Page<Session>) {
    const cards = page.edges.map(({ node }) => card(node));
    list.append(...cards);
    endCursor = page.pageInfo.endCursor;
    more.hidden = !page.pageInfo.hasNextPage;
    others.hidden = list.children.length < 2 && more.hidden;
    alone.hidden = !others.hidden;
    return cards;
  }

  function gone(card: HTMLElement) {
    const next = card.nextElementSibling ?? card.previousElementSibling;
    card.remove();
    others.hidden = list.children.length < 2 && more.hidden;
    alone.hidden = !others.hidden;
    focus(next?.querySelector("h3") ?? heading);
    doings.changed();
  }

  async function showMore() {
    more.disabled = true;
    try {
      const [added] = put(await moreSessions(endCursor));
      announce(`${list.children.length} sessions are shown.`, { seen: false });
      focus(added?.querySelector("h3"));
    } catch (error) {
      failed(error);
    } finally {
      more.disabled = false;
    }
  }

  async function stopOthers() {
    const sure = await confirmed({
      title: "End all other sessions?",
      text: ["Every device but this one will be signed out at once."],
      act: "End all others",
    });
    if (!sure) return;
    others.disabled = true;
    try {
      const count = await endOthers();
      announce(count === 1 ? "One other session has ended." : `${count} other sessions have ended.`);
      for (const card of [...list.children]) if (!card.classList.contains("current")) card.remove();
      more.hidden = others.hidden = true;
      alone.hidden = false;
      focus(heading);
      doings.changed();
    } catch (error) {
      failed(error);
    } finally {
      others.disabled = false;
    }
  }

  function failed(error: unknown) {
    if (isSignedOut(error)) doings.signedOut();
    else announce(why(error));
  }

  put(first);
  const head = h("div", { class: "head" }, heading, others);
  return h("section", { "aria-labelledby": "live-sessions" }, head, list, alone, more);
}

/** Those that were ended before their time, newest end first. */
export function endedSessions(page: Page<Session>): HTMLElement | null {
  const ended = page.edges.map(({ node }) => node).sort((one, other) => (one.revokedAt! < other.revokedAt! ? 1 : -1));
  if (!ended.length) return null;
  const list = h("ul", { class: "lines card", "aria-labelledby": "ended-sessions" });
  const some = 5;
  const put = (sessions: Session[]) => list.append(...sessions.map(line));
  const more = h("button", { type: "button", class: "quiet wide" }, "Show more");
  more.hidden = ended.length <= some;
  more.addEventListener("click", () => {
    put(ended.slice(some));
    more.hidden = true;
    focus(list.children[some]?.querySelector("a"));
  });
  put(ended.slice(0, some));
  return h(
    "section",
    { "aria-labelledby": "ended-sessions" },
    h("h2", { id: "ended-sessions" }, "Ended lately"),
    list,
    more,
  );
}

function line(session: Session) {
  const replayed = session.revocationReason === "REFRESH_TOKEN_REPLAYED";
  const reason = ENDED[session.revocationReason ?? ""] ?? "It was ended";
  return h(
    "li",
    { class: replayed ? "grave" : "" },
    icon(replayed ? "shield" : "door"),
    h(
      "div",
      {},
      h("a", { href: `#session/${session.id}` }, session.deviceName),
      h("p", {}, reason, ", ", ago(session.revokedAt ?? session.lastUsedAt)),
    ),
  );
}

const LATELY = 14 * 86_400_000;
const SEEN = "kindred seen replays";

/** A warning for each session that was lately ended by replay, until its owner has put it away. */
export function replayWarnings({ ended }: Overview): HTMLElement[] {
  return ended.edges
    .map(({ node }) => node)
    .filter(
      (session) =>
        session.revocationReason === "REFRESH_TOKEN_REPLAYED" &&
        Date.now() - Date.parse(session.revokedAt!) < LATELY &&
        !seen().includes(session.id),
    )
    .map(warning);
}

function warning(session: Session) {
  const title = `replayed-${session.id}`;
  const section = h(
    "section",
    { class: "notice grave", "aria-labelledby": title },
    icon("shield"),
    h(
      "div",
      {},
      h("h2", { id: title }, "A session was ended for your safety"),
      h(
        "p",
        {},
        ["The token of ", h("strong", {}, session.deviceName), " was used twice, ", ago(session.revokedAt!), ". "],
        "Somebody else may have had a copy of it.",
      ),
      h(
        "p",
        { class: "buttons" },
        h("a", { class: "button", href: `#session/${session.id}` }, "See what happened"),
        h("button", { type: "button", class: "quiet", onclick: putAway }, "Put away"),
      ),
    ),
  );
  function putAway() {
    remember(session.id);
    section.remove();
    focus(document.querySelector<HTMLElement>("main h1"));
    announce("The warning is put away. The session stays in the list of those that ended lately.");
  }
  return section;
}

// What is kept here is no secret, and a browser that keeps nothing shows the warning again.
function seen(): string[] {
  try {
    const kept = JSON.parse(localStorage.getItem(SEEN) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

function remember(id: string) {
  try {
    localStorage.setItem(SEEN, JSON.stringify([...seen(), id].slice(-50)));
  } catch {
    // shown again next time
  }
}
