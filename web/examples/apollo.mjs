import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { CombinedGraphQLErrors, ServerError } from "@apollo/client/errors";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import { isRefused } from "./refused.mjs";

/** Apollo Client with the access token, by links. What is refused is sent once more, with a new one. */
export function createApollo(uri, kindred) {
  const authorize = new SetContextLink(async ({ refused, headers: { authorization, ...headers } = {} }) => {
    const token = await kindred.getAccessToken(refused);
    return { token, headers: token ? { ...headers, authorization: `Bearer ${token}` } : headers };
  });

  const again = new ErrorLink(({ error, operation, forward }) => {
    const { token } = operation.getContext();
    const status = ServerError.is(error) ? error.statusCode : 200;
    if (!token || !isRefused(status, CombinedGraphQLErrors.is(error) ? error.errors : [])) return;
    operation.setContext({ refused: token });
    return forward(operation);
  });

  const link = ApolloLink.from([again, authorize, new HttpLink({ uri })]);
  return new ApolloClient({ link, cache: new InMemoryCache() });
}
