// The recent security events of the account.

import { fetchEvents } from "./api.js";
import { describeUserAgent } from "./devices.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { fillByPages } from "./paging.js";
import { EVENT_TEXTS } from "./texts.js";
import { ago } from "./times.js";
import type { Page, SecurityEvent } from "./types.js";

export function eventList(firstPage: Page<SecurityEvent>, onSignedOut: () => void): HTMLElement {
  const list = h("ol", { class: "rows card", "aria-labelledby": "events" });
  const more = fillByPages({
    list,
    firstPage,
    fetchPage: fetchEvents,
    renderItem: eventRow,
    noun: "events",
    focusSelector: "time",
    onSignedOut,
  });
  list.hidden = !list.children.length;
  return h(
    "section",
    { "aria-labelledby": "events" },
    h("h2", { id: "events" }, "Recent activity"),
    list,
    list.hidden && h("p", { class: "muted" }, "There is no activity yet."),
    more,
  );
}

function eventRow({ kind, occurredAt, ipAddress, userAgent, session }: SecurityEvent) {
  const { text, icon: iconName, tone } = EVENT_TEXTS[kind] ?? { text: kind, icon: "clock", tone: "neutral" };
  const origin = [userAgent && describeUserAgent(userAgent), ipAddress].filter(Boolean).join(", ");
  return h(
    "li",
    { class: tone },
    icon(iconName),
    h(
      "div",
      {},
      h("p", {}, text, session && [": ", h("a", { href: `#session/${session.id}` }, session.deviceName)]),
      h("p", {}, ago(occurredAt), origin && ` from ${origin}`),
    ),
  );
}
