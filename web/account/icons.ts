// Icons: lines on a square of 24 units, in the colour of the text. They are decoration: a word beside each says the same.

import { svg } from "./dom.js";

const PATHS = {
  desktop: ["M3 5h18v11H3z", "M9 20h6", "M12 16v4"],
  phone: ["M7 2.5h10v19H7z", "M11 18.5h2"],
  tablet: ["M4.5 3h15v18h-15z", "M11 18h2"],
  program: ["M3 4.5h18v15H3z", "M7 9l3 3-3 3", "M13 15h4"],
  pencil: ["M4 20l1-4L16 5l3 3L8 19z", "M14 7l3 3"],
  shield: ["M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6z", "M12 8v4.5", "M12 16v.01"],
  tick: ["M5 12.5l4.5 4.5L19 7.5"],
  exit: ["M14 4H5v16h9", "M10 12h10", "M17 9l3 3-3 3"],
  key: ["M8 11a4 4 0 1 0 0 .01z", "M12 11h9v3", "M17 11v3"],
  cross: ["M6 6l12 12", "M18 6L6 18"],
  clock: ["M12 3a9 9 0 1 0 .01 0z", "M12 7v5l3.5 2"],
  back: ["M19 12H5", "M11 6l-6 6 6 6"],
  cloud: ["M4 4l16 16", "M7 18h10", "M7 18a4 4 0 0 1-.5-8 6 6 0 0 1 1-2", "M11 5.5a6 6 0 0 1 6.5 5 3.8 3.8 0 0 1 2 6"],
};

export type Icon = keyof typeof PATHS;

export function icon(name: Icon) {
  const lines = PATHS[name].map((d) => svg("path", { d }));
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, ...lines);
}
