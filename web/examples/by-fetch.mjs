import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import { cacheExchange, Client, fetchExchange } from "@urql/core";
import axios from "axios";
import { GraphQLClient } from "graphql-request";

export const createAxios = (baseURL, { fetch }) => axios.create({ baseURL, adapter: "fetch", env: { fetch } });

export const createUrql = (url, { fetch }) =>
  new Client({ url, fetch, preferGetMethod: false, exchanges: [cacheExchange, fetchExchange] });

export const createApollo = (uri, { fetch }) =>
  new ApolloClient({ link: new HttpLink({ uri, fetch }), cache: new InMemoryCache() });

export const createGraphQLClient = (url, { fetch }) => new GraphQLClient(url, { fetch });
