// How the client module is bundled, for browsers that load it from the service.

/** esbuild options of this bundle. `../build.mjs` has those of every bundle. */
export const options = {
  entryPoints: { "kindred-client": "client/client.ts" },
  format: "esm",
};
