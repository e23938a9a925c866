// The licences of every package with code in the bundle. Each text appears once.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const PACKAGE = /^node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/;

/** The text of `graphiql.licences.txt`: the packages, and the licence of each. */
export async function licences(directory, metafile) {
  const used = new Set();
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const name = PACKAGE.exec(path)?.[0];
      if (name && bytesInOutput > 0) used.add(name);
    }
  }
  const packagesByText = new Map();
  for (const path of [...used].sort()) {
    const { label, text } = await licence(join(directory, path));
    packagesByText.set(text, [...(packagesByText.get(text) ?? []), label]);
  }
  const parts = [...packagesByText].map(([text, labels]) => `${labels.join("\n")}\n\n${text}`);
  return `graphiql.js and graphiql.css contain code of these packages.\n\n${parts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

async function licence(directory) {
  const manifest = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
  const label = `${manifest.name} ${manifest.version} (${manifest.license})`;
  const file = (await readdir(directory)).sort().find((name) => /^licen[cs]e/i.test(name));
  if (file) return { label, text: normalize(await readFile(join(directory, file), "utf8")) };
  const text = "(Its package.json declares this licence. The package contains no licence text.)";
  return { label: manifest.author ? `${label}, by ${manifest.author.name ?? manifest.author}` : label, text };
}

/** The same text whatever the line ends and trailing spaces, so that equal licences are recognised. */
const normalize = (text) => text.replaceAll(/[ \t\r]+$/gm, "").trim();
