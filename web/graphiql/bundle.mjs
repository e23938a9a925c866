// How the GraphiQL page is bundled.

import { readFile } from "node:fs/promises";
import { licences } from "./licences.mjs";

const BANNER = "/*! GraphiQL and its packages. Licences: graphiql.licences.txt */";

/** Remove the fonts from GraphiQL's style sheet, 360 of its 400 KB. page.css names system fonts instead. */
const withoutFonts = {
  name: "without-fonts",
  setup({ onLoad }) {
    onLoad({ filter: /graphiql[\\/]dist[\\/]style\.css$/ }, async ({ path }) => {
      const css = await readFile(path, "utf8");
      return { contents: css.replaceAll(/@font-face\s*\{[^}]*\}/g, ""), loader: "css" };
    });
  },
};

/** esbuild options of this bundle. `../build.mjs` has those of every bundle. */
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

/** Other folders that this bundle takes code from. */
export const dependsOn = ["client"];

/** Further files, by name. */
export const extraFiles = async (web, metafile) => ({ "graphiql.licences.txt": await licences(web, metafile) });
