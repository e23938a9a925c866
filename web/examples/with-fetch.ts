import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import type { Client as Kindred } from "@kindred/client";
import { Client, cacheExchange, fetchExchange } from "@urql/core";
import axios from "axios";
import { GraphQLClient } from "graphql-request";

export const createAxios = (baseURL: string, { fetch }: Kindred) =>
  axios.create({ baseURL, adapter: "fetch", env: { fetch } });

export const createUrql = (url: string, { fetch }: Kindred) =>
  new Client({ url, fetch, preferGetMethod: false, exchanges: [cacheExchange, fetchExchange] });

export const createApollo = (uri: string, { fetch }: Kindred) =>
  new ApolloClient({ link: new HttpLink({ uri, fetch }), cache: new InMemoryCache() });

export const createGraphQLClient = (url: string, { fetch }: Kindred) => new GraphQLClient(url, { fetch });
