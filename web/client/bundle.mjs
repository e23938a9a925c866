// What the client module is bundled from, and how. It is for browsers that load it from the service.

/** For esbuild, beside what holds for everything that is built (`../build.mjs`). */
export const options = {
  entryPoints: { "kindred-client": "client/client.ts" },
  format: "esm",
};
