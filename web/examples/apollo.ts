import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { CombinedGraphQLErrors, ServerError } from "@apollo/client/errors";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import type { Client } from "@kindred/client";
import { isRefused } from "./refused.js";

/** Apollo Client with the access token, by links. A refused operation is sent once more, with a new token. */
export function createApollo(uri: string, kindred: Client) {
  const authorize = new SetContextLink(async ({ refused, headers: { authorization, ...headers } = {} }) => {
    const token = await kindred.getAccessToken(refused);
    return { token, headers: token ? { ...headers, authorization: `Bearer ${token}` } : headers };
  });

  const retry = new ErrorLink(({ error, operation, forward }) => {
    const { token } = operation.getContext();
    const status = ServerError.is(error) ? error.statusCode : 200;
    const errors = CombinedGraphQLErrors.is(error) ? error.errors : [];
    if (!token || !isRefused(status, errors)) return;
    operation.setContext({ refused: token });
    return forward(operation);
  });

  const link = ApolloLink.from([retry, authorize, new HttpLink({ uri })]);
  return new ApolloClient({ link, cache: new InMemoryCache() });
}
