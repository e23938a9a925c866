// What a User-Agent header tells. For names the service's word holds (`deviceName`); this is for what has none.

import type { Icon } from "./icons.js";

export const KINDS: Record<string, string> = {
  phone: "Phone",
  tablet: "Tablet",
  desktop: "Computer",
  program: "Program",
};

export function kindOf(userAgent: string | null): Icon {
  if (!userAgent || !/^(Mozilla|Opera)\//.test(userAgent)) return "program";
  if (/iPad|Tablet|Android(?!.*Mobile)/.test(userAgent)) return "tablet";
  return /iPhone|Mobile/.test(userAgent) ? "phone" : "desktop";
}

// The first that matches: browsers claim to be their forerunners too.
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

/** Such as "Firefox on Linux" and "curl". */
export function describe(userAgent: string | null): string {
  if (!userAgent) return "Unknown device";
  const first = (known: [RegExp, string][]) => known.find(([sign]) => sign.test(userAgent))?.[1];
  const browser = first(BROWSERS) ?? /^[\w.-]{1,40}/.exec(userAgent)?.[0] ?? "Unknown program";
  const system = first(SYSTEMS);
  return system ? `${browser} on ${system}` : browser;
}
