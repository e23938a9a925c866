// What the account page is bundled from, and how.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** For esbuild, beside what holds for everything that is built (`../build.mjs`). */
export const options = {
  entryPoints: { account: "account/main.ts" },
  format: "esm",
  loader: { ".graphql": "text" },
};

/** The folders it takes code from, beside its own. */
export const uses = ["client"];

/** The page and its icon, as they are. */
export const beside = async (web) => ({
  "account.html": await readFile(join(web, "account", "page.html"), "utf8"),
  "account.svg": await readFile(join(web, "account", "icon.svg"), "utf8"),
});
