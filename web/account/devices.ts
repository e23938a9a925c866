// What a `User-Agent` header tells about a device. The name of a session comes from the service (`deviceName`).

import type { Icon } from "./icons.js";

export const DEVICE_KINDS: Record<string, string> = {
  phone: "Phone",
  tablet: "Tablet",
  desktop: "Computer",
  program: "Program",
};

export function deviceKind(userAgent: string | null): Icon {
  if (!userAgent || !/^(Mozilla|Opera)\//.test(userAgent)) return "program";
  if (/iPad|Tablet|Android(?!.*Mobile)/.test(userAgent)) return "tablet";
  return /iPhone|Mobile/.test(userAgent) ? "phone" : "desktop";
}

// The first match counts, because browsers also claim to be older browsers.
const BROWSERS: [RegExp, string][] = [
  [/Edg(e|A|iOS)?\//, "Edge"],
  [/OPR\/|Opera/, "Opera"],
  [/SamsungBrowser/, "Samsung Internet"],
  [/Firefox|FxiOS/, "Firefox"],
  [/HeadlessChrome/, "HeadlessChrome"],
  [/Chrome|CriOS/, "Chrome"],
  [/Safari/, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/CrOS/, "Chrome OS"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];

/** Such as "Firefox on Linux" or "curl". */
export function describeUserAgent(userAgent: string | null): string {
  if (!userAgent) return "Unknown device";
  const firstMatch = (names: [RegExp, string][]) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = firstMatch(BROWSERS) ?? /^[\w.-]{1,40}/.exec(userAgent)?.[0] ?? "Unknown program";
  const system = firstMatch(SYSTEMS);
  return system ? `${browser} on ${system}` : browser;
}
