// Builds what runs in a browser: the bundles in graph/static, and the client package in web/client/dist.
// Equal sources give equal bytes on every machine. Each folder here with a bundle.mjs is one bundle.
// `--check` writes nothing. It names each built file that differs from its sources, and then exits with status 1.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const WEB = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(WEB);
const STATIC = join(ROOT, "graph", "static");
const DIST = join(WEB, "client", "dist");
// Sources of every bundle, in addition to its own folder.
const SHARED_SOURCES = ["build.mjs", "package.json", "package-lock.json"];

const byName = ([a], [b]) => (a < b ? -1 : 1);
const digests = (files) =>
  Object.fromEntries(files.map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]));

/** The files of one bundle, as pairs of path and bytes. The last is a record of what it was built from. */
async function buildBundle(name) {
  const { options, extraFiles, dependsOn = [] } = await import(`./${name}/bundle.mjs`);
  const result = await build({
    absWorkingDir: WEB,
    outdir: STATIC,
    write: false,
    metafile: true,
    bundle: true,
    minify: true,
    target: "es2022",
    charset: "utf8",
    tsconfigRaw: {}, // tsconfig.json is for the type checks only
    legalComments: "none", // the licences of packages are in a file beside the bundle
    ...options,
  });
  const built = result.outputFiles.map(({ path, contents }) => [relative(STATIC, path), Buffer.from(contents)]);
  for (const [file, text] of Object.entries((await extraFiles?.(WEB, result.metafile)) ?? {})) {
    built.push([file, Buffer.from(text)]);
  }
  built.sort(byName);
  // A test compares the record with the files, so that it notices a forgotten build without Node.js.
  const record = { sources: digests(await readSources([name, ...dependsOn])), built: digests(built) };
  built.push([`${name}.build.json`, Buffer.from(`${JSON.stringify(record, null, 2)}\n`)]);
  return built.map(([file, bytes]) => [join(STATIC, file), bytes]);
}

/** The files that a bundle is built from, with paths from the project's root. */
async function readSources(folders) {
  const paths = SHARED_SOURCES.map((name) => join(WEB, name));
  for (const folder of folders) paths.push(...(await filesIn(join(WEB, folder))));
  const named = paths.map((path) => [fromRoot(path), path]).sort(byName);
  return Promise.all(named.map(async ([name, path]) => [name, await readFile(path)]));
}

/** The client package: its modules and types, as pairs of path and bytes. */
async function buildPackage() {
  const folder = await mkdtemp(join(tmpdir(), "kindred-client-"));
  try {
    const tsc = join(WEB, "node_modules", "typescript", "bin", "tsc");
    execFileSync(process.execPath, [tsc, "-p", join(WEB, "client"), "--outDir", folder], { stdio: "inherit" });
    const paths = await filesIn(folder);
    return Promise.all(paths.map(async (path) => [join(DIST, relative(folder, path)), await readFile(path)]));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function filesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

const fromRoot = (path) => relative(ROOT, path).replaceAll("\\", "/");

/** What is wrong with the files in a folder that should contain these, one phrase each. */
async function findStale(folder, files) {
  const stale = [];
  for (const [path, bytes] of files) {
    const existing = await readFile(path).catch(() => null);
    if (!existing) stale.push(`${fromRoot(path)} is missing`);
    else if (!existing.equals(bytes)) stale.push(`${fromRoot(path)} is out of date`);
  }
  const expected = new Set(files.map(([path]) => path));
  const unexpected = (await filesIn(folder)).filter((path) => !expected.has(path));
  return [...stale, ...unexpected.map((path) => `${fromRoot(path)} has no source`)];
}

async function writeFiles(folder, files) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  for (const [path, bytes] of files) {
    await writeFile(path, bytes);
    console.log(`${String(bytes.length).padStart(8)}  ${fromRoot(path)}`);
  }
}

const check = process.argv.includes("--check");
const folders = await readdir(WEB);
const bundles = folders.filter((name) => existsSync(join(WEB, name, "bundle.mjs"))).sort();
const stale = [];
// The package comes first, because the record of the client's bundle covers its files.
for (const [folder, buildFiles] of [
  [DIST, buildPackage],
  [STATIC, async () => (await Promise.all(bundles.map(buildBundle))).flat()],
]) {
  const files = await buildFiles();
  if (check) stale.push(...(await findStale(folder, files)));
  else await writeFiles(folder, files);
}
if (stale.length) {
  console.error(`${stale.join(".\n")}.\nRun \`make web\`, and commit the files that it writes.`);
  process.exitCode = 1;
}
