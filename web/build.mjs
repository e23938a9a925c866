// Bundles what runs in a browser into graph/static. The same sources always make the same bytes, on any machine.
// Each folder here that has a bundle.mjs is one bundle, with a record of what it was built from beside it.
// `--check` writes nothing, and fails unless graph/static holds just what would be written.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const WEB = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(WEB);
const STATIC = join(ROOT, "graph", "static");
// What every bundle is made with, beside its own folder.
const SHARED = ["build.mjs", "package.json", "package-lock.json"];

const byName = ([one], [other]) => (one < other ? -1 : 1);
const digests = (files) =>
  Object.fromEntries(files.map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]));

/** The files of one bundle, its record last. */
async function bundle(name) {
  const { options, beside, uses = [] } = await import(`./${name}/bundle.mjs`);
  const result = await build({
    absWorkingDir: WEB,
    outdir: STATIC,
    write: false,
    metafile: true,
    bundle: true,
    minify: true,
    target: "es2022",
    charset: "utf8",
    tsconfigRaw: {}, // tsconfig.json is for the checks
    legalComments: "none", // those of other people are in a file beside the bundle
    ...options,
  });
  const built = result.outputFiles.map(({ path, contents }) => [relative(STATIC, path), Buffer.from(contents)]);
  for (const [file, text] of Object.entries((await beside?.(WEB, result.metafile)) ?? {})) {
    built.push([file, Buffer.from(text)]);
  }
  built.sort(byName);
  // What a test compares with the files that are there, to tell that somebody forgot to build, without Node.
  const record = { sources: digests(await sources([name, ...uses])), built: digests(built) };
  return [...built, [`${name}.build.json`, Buffer.from(`${JSON.stringify(record, null, 2)}\n`)]];
}

/** The files that a bundle is made from, as paths from the project's root. */
async function sources(folders) {
  const paths = SHARED.map((name) => join(WEB, name));
  for (const folder of folders) {
    const entries = await readdir(join(WEB, folder), { recursive: true, withFileTypes: true });
    paths.push(...entries.filter((one) => one.isFile()).map((one) => join(one.parentPath ?? one.path, one.name)));
  }
  const named = paths.map((path) => [relative(ROOT, path).replaceAll("\\", "/"), path]).sort(byName);
  return Promise.all(named.map(async ([name, path]) => [name, await readFile(path)]));
}

const folders = await readdir(WEB);
const bundles = folders.filter((name) => existsSync(join(WEB, name, "bundle.mjs"))).sort();
const files = (await Promise.all(bundles.map(bundle))).flat();

if (process.argv.includes("--check")) {
  const differ = [];
  for (const [name, bytes] of files) {
    const there = await readFile(join(STATIC, name)).catch(() => null);
    if (!there?.equals(bytes)) differ.push(name);
  }
  if (differ.length) {
    console.error(`graph/static is out of date: ${differ.join(", ")}. Run \`make web\`.`);
    process.exitCode = 1;
  } else {
    console.log("graph/static holds what the sources make.");
  }
} else {
  await mkdir(STATIC, { recursive: true });
  for (const [name, bytes] of files) {
    await writeFile(join(STATIC, name), bytes);
    console.log(`${String(bytes.length).padStart(8)}  ${name}`);
  }
}
