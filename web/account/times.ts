// Dates, and times as "5 minutes ago" that stay current and show the exact time on demand.

import { h } from "./dom.js";

// The page is in English. A user whose browser is set to English gets the dates of their own country.
const LANGUAGE = navigator.language.startsWith("en") ? navigator.language : "en-GB";
const RELATIVE = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const EXACT = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "long" });
const WITH_YEAR = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
const THIS_YEAR = new Intl.DateTimeFormat(LANGUAGE, {
  month: "short",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
});
const TO_THE_SECOND = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** Such as "5 minutes ago" and "in 3 weeks". */
function relative(instant: string, now = Date.now()): string {
  const seconds = (Date.parse(instant) - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return RELATIVE.format(Math.trunc(seconds / length), unit);
  }
  return seconds > 0 ? "in a moment" : "just now";
}

/** How long ago. The exact time shows on hover and on focus. */
export function ago(instant: string) {
  const exact = EXACT.format(new Date(instant));
  return h("time", { datetime: instant, title: exact, class: "ago", tabindex: 0 }, past(instant));
}

/** A date and a time, with the year unless it is this year. The distance from now shows on hover. */
export function date(instant: string) {
  const then = new Date(instant);
  const format = then.getFullYear() === new Date().getFullYear() ? THIS_YEAR : WITH_YEAR;
  return h("time", { datetime: instant, title: relative(instant) }, format.format(then));
}

/** A date and a time to the second, where the order of events matters. */
export const toTheSecond = (instant: string) =>
  h("time", { datetime: instant, title: relative(instant) }, TO_THE_SECOND.format(new Date(instant)));

// The device's clock may be behind the service's. A past event must not appear to be in the future.
const past = (instant: string) => relative(instant, Math.max(Date.now(), Date.parse(instant)));

const UPDATE_INTERVAL_MS = 15_000;

/** Update every "... ago" on the page until it is closed. */
export function keepTimesCurrent() {
  setInterval(() => {
    for (const time of document.querySelectorAll<HTMLTimeElement>("time.ago")) {
      const text = past(time.dateTime);
      if (time.textContent !== text) time.textContent = text;
    }
  }, UPDATE_INTERVAL_MS);
}

/** Such as "40 seconds" or "4 min 05 s". */
export function duration(seconds: number): string {
  if (seconds < 60) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}
