// Drives one of the examples: node examples.mjs '{"folder": ..., "file": ..., "make": ..., "url": ..., "who": ...}'
import { createRequire, registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The examples import each other as compiled files (`./refused.js`), and Node.js runs the sources.
registerHooks({
  resolve(specifier, context, next) {
    const isExample = specifier.startsWith("./") && context.parentURL?.endsWith(".ts");
    return next(isExample ? specifier.replace(/\.js$/, ".ts") : specifier, context);
  },
});

const { folder, file, make, url, who } = JSON.parse(process.argv[2]);
const { resolve } = createRequire(join(folder, "package.json"));
const load = (path) => import(pathToFileURL(path));

const { createClient } = await load(join(folder, "node_modules/@kindred/client/dist/client.js"));
const { gql } = await load(resolve("@apollo/client"));
const { [make]: create } = await load(join(folder, `${file}.ts`));

// How each client sends a query. None may answer from its cache, or merge equal queries into one request.
const senders = {
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
const send = senders[make](create(make === "createAxios" ? url : `${url}/graphql`, kindred));
const sendMany = async (round, times) => {
  const sent = Array.from({ length: times }, (_, n) => send(`query Round${round} { n${n}: viewer { username } }`));
  return (await Promise.all(sent)).map(({ data, errors }, n) => data?.[`n${n}`]?.username ?? errors[0].extensions.code);
};

const before = await sendMany(0, 1).catch(() => ["refused"]);
const { ok } = await kindred.login(who);
const rounds = [await sendMany(1, 20), await sendMany(2, 20), await sendMany(3, 20)];
const last = await sendMany(4, 1).catch(() => ["refused"]);
await kindred.logout();
console.log(JSON.stringify({ ok, before, rounds, last, ended }));
