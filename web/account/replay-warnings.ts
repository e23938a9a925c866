// A warning for each session that a replay ended within the last two weeks, until the user dismisses it.

import { announce, focus, h } from "./dom.js";
import { icon } from "./icons.js";
import { ago } from "./times.js";
import type { Page, Session } from "./types.js";

const WARN_FOR_MS = 14 * 86_400_000;
// The IDs of dismissed warnings are no secret. A browser that keeps nothing shows the warning again.
const STORAGE_KEY = "kindred seen replays";
const MAX_REMEMBERED = 50;

export function replayWarnings(ended: Page<Session>): HTMLElement[] {
  const dismissed = dismissedIds();
  return ended.edges
    .map(({ node }) => node)
    .filter(
      ({ id, revocationReason, revokedAt }) =>
        revocationReason === "REFRESH_TOKEN_REPLAYED" &&
        Date.now() - Date.parse(revokedAt!) < WARN_FOR_MS &&
        !dismissed.includes(id),
    )
    .map(warning);
}

function warning({ id, deviceName, revokedAt }: Session) {
  const titleId = `replayed-${id}`;
  const section = h(
    "section",
    { class: "notice danger", "aria-labelledby": titleId },
    icon("shield"),
    h(
      "div",
      {},
      h("h2", { id: titleId }, "A session was ended for your safety"),
      h(
        "p",
        {},
        ["The token of ", h("strong", {}, deviceName), " was used twice, ", ago(revokedAt!), ". "],
        "Another person may have a copy of it.",
      ),
      h(
        "p",
        { class: "buttons" },
        h("a", { class: "button", href: `#session/${id}` }, "See what happened"),
        h("button", { type: "button", class: "secondary", onclick: dismiss }, "Dismiss"),
      ),
    ),
  );
  function dismiss() {
    rememberDismissed(id);
    section.remove();
    focus(document.querySelector<HTMLElement>("main h1"));
    announce("The warning is dismissed. The session stays in the list of recently ended sessions.");
  }
  return section;
}

function dismissedIds(): string[] {
  try {
    const ids = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]");
    return Array.isArray(ids) ? ids : [];
  } catch {
    return [];
  }
}

function rememberDismissed(id: string) {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify([...dismissedIds(), id].slice(-MAX_REMEMBERED)));
  } catch {
    // the browser allows no storage
  }
}
