import { ClientError, GraphQLClient } from "graphql-request";
import { isRefused } from "./refused.mjs";

/** graphql-request with the access token. What is refused is sent once more, with a new one. */
export function createRequest(url, kindred) {
  const client = new GraphQLClient(url);

  return async function request(document, variables, refused) {
    const token = await kindred.getAccessToken(refused);
    try {
      return await client.request(document, variables, token ? { authorization: `Bearer ${token}` } : {});
    } catch (error) {
      const { status, errors } = error instanceof ClientError ? error.response : {};
      if (!token || refused || !isRefused(status, errors)) throw error;
      return request(document, variables, token);
    }
  };
}
