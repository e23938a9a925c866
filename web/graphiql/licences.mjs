// The licences of every package that has code in the bundle, each text once.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const PACKAGE = /^node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/;

/** One text: what the packages are, and what each of their licences says. */
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
  const about = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
  const label = `${about.name} ${about.version} (${about.license})`;
  const file = (await readdir(directory)).sort().find((name) => /^licen[cs]e/i.test(name));
  if (file) {
    const text = await readFile(join(directory, file), "utf8");
    return { label, text: text.replaceAll("\r\n", "\n").replaceAll(/[ \t]+$/gm, "").trim() };
  }
  const text = "(Declares the licence named above in its package.json, and carries no text of it.)";
  return { label: about.author ? `${label}, by ${about.author.name ?? about.author}` : label, text };
}
