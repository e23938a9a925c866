// Drives one of the examples: node examples.mjs '{"folder": ..., "file": ..., "make": ..., "url": ..., "who": ...}'
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { folder, file, make, url, who } = JSON.parse(process.argv[2]);
const { resolve } = createRequire(join(folder, "package.json"));
const load = (path) => import(pathToFileURL(path));

const { createClient } = await load(join(folder, "node_modules/@kindred/client/dist/client.js"));
const { gql } = await load(resolve("@apollo/client"));
const { [make]: create } = await load(join(folder, `${file}.mjs`));

// How each is asked. None may answer from what it knows, or take twenty questions for one.
const ways = {
  createAxios: (http) => async (query) => (await http.post("/graphql", { query })).data,
  createUrql: (client) => async (query) => {
    const { data, error } = await client.query(query, {}, { requestPolicy: "network-only" }).toPromise();
    if (error) throw error;
    return { data };
  },
  createApollo: (client) => (query) =>
    client.query({ query: gql(query), fetchPolicy: "no-cache", context: { queryDeduplication: false } }),
  createRequest: (request) => async (query) => ({ data: await request(query) }),
  createGraphQLClient: (client) => async (query) => ({ data: await client.request(query) }),
};

const kindred = createClient({ url });
const ended = [];
kindred.onSessionEnded((reason) => ended.push(reason));
const ask = ways[make](create(make === "createAxios" ? url : `${url}/graphql`, kindred));
const many = async (round, times) => {
  const asked = Array.from({ length: times }, (_, n) => ask(`query Round${round} { n${n}: viewer { username } }`));
  return (await Promise.all(asked)).map(({ data, errors }, n) => data?.[`n${n}`]?.username ?? errors[0].extensions.code);
};

const before = await many(0, 1).catch(() => ["refused"]);
const { ok } = await kindred.login(who);
const rounds = [await many(1, 20), await many(2, 20), await many(3, 20)];
const last = await many(4, 1).catch(() => ["refused"]);
await kindred.logout();
console.log(JSON.stringify({ ok, before, rounds, last, ended }));
