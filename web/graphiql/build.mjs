// Bundles the GraphiQL page into graph/static. The same sources always make the same bytes, on any machine.
// `--check` writes nothing, and fails unless graph/static holds just what would be written.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { licences } from "./licences.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const WEB = dirname(HERE);
const ROOT = dirname(WEB);
const STATIC = join(ROOT, "graph", "static");

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

async function bundle() {
  const result = await build({
    absWorkingDir: WEB,
    entryPoints: { graphiql: "graphiql/main.jsx" },
    outdir: STATIC,
    write: false,
    metafile: true,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".graphql": "text" },
    alias: { "react-style-singleton": "./graphiql/no-style-tags.js" },
    legalComments: "none", // licences() has them all, with the texts that the packages carry beside their code
    banner: { js: BANNER, css: BANNER },
    plugins: [withoutFonts],
  });
  const built = result.outputFiles.map(({ path, contents }) => [relative(STATIC, path), Buffer.from(contents)]);
  built.push(["graphiql.licences.txt", Buffer.from(await licences(WEB, result.metafile))]);
  return built.sort(byName);
}

/** The files that the bundle is made from, as paths from the project's root. */
async function sources() {
  const own = await readdir(HERE, { recursive: true, withFileTypes: true });
  const paths = own.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  paths.push(join(WEB, "package.json"), join(WEB, "package-lock.json"));
  const named = paths.map((path) => [relative(ROOT, path).replaceAll("\\", "/"), path]).sort(byName);
  return Promise.all(named.map(async ([name, path]) => [name, await readFile(path)]));
}

const byName = ([one], [other]) => (one < other ? -1 : 1);

const digests = (files) =>
  Object.fromEntries(files.map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]));

const built = await bundle();
// What a test compares with the files that are there, to tell that somebody forgot to build, without Node.
const record = { sources: digests(await sources()), built: digests(built) };
built.push(["graphiql.build.json", Buffer.from(`${JSON.stringify(record, null, 2)}\n`)]);

if (process.argv.includes("--check")) {
  const differ = [];
  for (const [name, bytes] of built) {
    const there = await readFile(join(STATIC, name)).catch(() => null);
    if (!there?.equals(bytes)) differ.push(name);
  }
  if (differ.length) {
    console.error(`graph/static is out of date: ${differ.join(", ")}. Run \`npm run build\` in web/.`);
    process.exitCode = 1;
  } else {
    console.log("graph/static holds what the sources make.");
  }
} else {
  await mkdir(STATIC, { recursive: true });
  for (const [name, bytes] of built) {
    await writeFile(join(STATIC, name), bytes);
    console.log(`${String(bytes.length).padStart(8)}  ${name}`);
  }
}
