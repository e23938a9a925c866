// What happened to the account lately, in plain words.

import { isSignedOut, moreEvents, why } from "./api.js";
import { describe } from "./devices.js";
import { announce, focus, h } from "./dom.js";
import { icon } from "./icons.js";
import { ago } from "./times.js";
import type { Page, SecurityEvent } from "./types.js";
import { HAPPENED } from "./words.js";

export function eventList(first: Page<SecurityEvent>, signedOut: () => void): HTMLElement {
  const list = h("ol", { class: "lines card", "aria-labelledby": "events" });
  const more = h("button", { type: "button", class: "quiet wide", onclick: showMore }, "Show more");
  let { endCursor } = first.pageInfo;

  function put(page: Page<SecurityEvent>) {
    const lines = page.edges.map(({ node }) => line(node));
    list.append(...lines);
    endCursor = page.pageInfo.endCursor;
    more.hidden = !page.pageInfo.hasNextPage;
    return lines;
  }

  async function showMore() {
    more.disabled = true;
    try {
      const [added] = put(await moreEvents(endCursor));
      announce(`${list.children.length} events are shown.`, { seen: false });
      focus(added?.querySelector("time"));
    } catch (error) {
      if (isSignedOut(error)) signedOut();
      else announce(why(error));
    } finally {
      more.disabled = false;
    }
  }

  put(first);
  list.hidden = !list.children.length;
  return h(
    "section",
    { "aria-labelledby": "events" },
    h("h2", { id: "events" }, "Recent activity"),
    list,
    list.hidden && h("p", { class: "plain" }, "Nothing has happened yet."),
    more,
  );
}

function line({ kind, occurredAt, ipAddress, userAgent, session }: SecurityEvent) {
  const { text, icon: sign, tone } = HAPPENED[kind] ?? { text: kind, icon: "clock", tone: "plain" };
  const from = [userAgent && describe(userAgent), ipAddress].filter(Boolean).join(", ");
  return h(
    "li",
    { class: tone },
    icon(sign),
    h(
      "div",
      {},
      h("p", {}, text, session && [": ", h("a", { href: `#session/${session.id}` }, session.deviceName)]),
      h("p", {}, ago(occurredAt), from && ` from ${from}`),
    ),
  );
}
