import { cacheExchange, Client, fetchExchange, makeOperation, mapExchange } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { isRefused } from "./refused.mjs";

/** urql with the access token. What is refused is held back by its exchange for that, and sent once more. */
export function createUrql(url, kindred) {
  const auth = authExchange(async () => {
    let refused;
    return {
      addAuthToOperation: (operation) => operation, // that is below, where one may wait
      didAuthError: (error, { context }) => {
        const isAuthError = Boolean(context.token) && isRefused(error.response?.status, error.graphQLErrors);
        if (isAuthError) refused = context.token;
        return isAuthError;
      },
      refreshAuth: () => kindred.getAccessToken(refused),
    };
  });

  const authorize = mapExchange({
    async onOperation(operation) {
      const token = await kindred.getAccessToken();
      const fetchOptions = { headers: token ? { authorization: `Bearer ${token}` } : {} };
      return makeOperation(operation.kind, operation, { ...operation.context, token, fetchOptions });
    },
  });

  return new Client({ url, preferGetMethod: false, exchanges: [cacheExchange, auth, authorize, fetchExchange] });
}
