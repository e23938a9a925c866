// What the GraphiQL page is bundled from, and how.

import { readFile } from "node:fs/promises";
import { licences } from "./licences.mjs";

const BANNER = "/*! GraphiQL and what it is made of. Licences: graphiql.licences.txt */";

/** Leaves the fonts out of GraphiQL's sheet: 360 of its 400 KB. page.css names the system's instead. */
const withoutFonts = {
  name: "without-fonts",
  setup({ onLoad }) {
    onLoad({ filter: /graphiql[\\/]dist[\\/]style\.css$/ }, async ({ path }) => {
      const sheet = await readFile(path, "utf8");
      return { contents: sheet.replaceAll(/@font-face\s*\{[^}]*\}/g, ""), loader: "css" };
    });
  },
};

/** For esbuild, beside what holds for everything that is built (`../build.mjs`). */
export const options = {
  entryPoints: { graphiql: "graphiql/main.jsx" },
  format: "iife",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"', "import.meta.url": '""' },
  loader: { ".graphql": "text" },
  alias: { "react-style-singleton": "./graphiql/no-style-tags.js" },
  banner: { js: BANNER, css: BANNER },
  plugins: [withoutFonts],
};

/** The folders it takes code from, beside its own. */
export const uses = ["client"];

/** Further files, by their names. */
export const beside = async (web, metafile) => ({ "graphiql.licences.txt": await licences(web, metafile) });
