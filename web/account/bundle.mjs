// How the account page is bundled.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** esbuild options of this bundle. `../build.mjs` has those of every bundle. */
export const options = {
  entryPoints: { account: "account/main.ts" },
  format: "esm",
  loader: { ".graphql": "text" },
};

/** Other folders that this bundle takes code from. */
export const dependsOn = ["client"];

/** The page and its icon, which are copied. */
export const extraFiles = async (web) => ({
  "account.html": await readFile(join(web, "account", "page.html"), "utf8"),
  "account.svg": await readFile(join(web, "account", "icon.svg"), "utf8"),
});
