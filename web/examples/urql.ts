import type { Client as Kindred } from "@kindred/client";
import { Client, cacheExchange, fetchExchange, makeOperation, mapExchange } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { isRefused } from "./refused.js";

/** urql with the access token. Its auth exchange holds back refused operations and sends them once more. */
export function createUrql(url: string, kindred: Kindred) {
  const auth = authExchange(async () => {
    let refused: string | undefined;
    return {
      addAuthToOperation: (operation) => operation, // this cannot wait for a token, so `authorize` below adds it
      didAuthError: (error, { context }) => {
        const isAuthError = Boolean(context.token) && isRefused(error.response?.status, error.graphQLErrors);
        if (isAuthError) refused = context.token;
        return isAuthError;
      },
      refreshAuth: async () => {
        await kindred.getAccessToken(refused);
      },
    };
  });

  const authorize = mapExchange({
    async onOperation(operation) {
      const token = await kindred.getAccessToken();
      const fetchOptions: RequestInit = token ? { headers: { authorization: `Bearer ${token}` } } : {};
      return makeOperation(operation.kind, operation, { ...operation.context, token, fetchOptions });
    },
  });

  return new Client({ url, preferGetMethod: false, exchanges: [cacheExchange, auth, authorize, fetchExchange] });
}
