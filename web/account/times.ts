// Times: how long ago, kept current, with the exact time behind it; and dates.

import { h } from "./dom.js";

// The page is in English; a reader of English gets the dates of their own country.
const LANGUAGE = navigator.language.startsWith("en") ? navigator.language : "en-GB";
const RELATIVE = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const EXACT = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "long" });
const SHORT = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
const THIS_YEAR = new Intl.DateTimeFormat(LANGUAGE, {
  ...{ month: "short", day: "numeric" },
  ...{ hour: "numeric", minute: "2-digit" },
});
const PRECISE = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** Such as "5 minutes ago" and "in 3 weeks". */
export function relative(instant: string, now = Date.now()): string {
  const seconds = (Date.parse(instant) - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return RELATIVE.format(Math.trunc(seconds / length), unit);
  }
  return seconds > 0 ? "in a moment" : "just now";
}

/** How long ago. The exact time shows under the pointer, and with the focus. */
export function ago(instant: string) {
  const exact = EXACT.format(new Date(instant));
  return h("time", { datetime: instant, title: exact, class: "ago", tabindex: 0 }, past(instant));
}

/** A date and a time, with the year where it is another one; how far off it is shows under the pointer. */
export function date(instant: string) {
  const then = new Date(instant);
  const format = then.getFullYear() === new Date().getFullYear() ? THIS_YEAR : SHORT;
  return h("time", { datetime: instant, title: relative(instant) }, format.format(then));
}

/** A date and a time to the second, for what follows upon something else. */
export const toTheSecond = (instant: string) =>
  h("time", { datetime: instant, title: relative(instant) }, PRECISE.format(new Date(instant)));

// The clocks of the service and of this device differ: what has happened is not ahead.
const past = (instant: string) => relative(instant, Math.max(Date.now(), Date.parse(instant)));

export function keepCurrent() {
  setInterval(() => {
    for (const time of document.querySelectorAll<HTMLTimeElement>("time.ago")) {
      const text = past(time.dateTime);
      if (time.textContent !== text) time.textContent = text;
    }
  }, 15_000);
}

/** Seconds to wait, as a person would say it: "40 seconds", "4 min 05 s". */
export function wait(seconds: number): string {
  if (seconds < 60) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}
