import type { Client } from "@kindred/client";
import { ClientError, GraphQLClient, type Variables } from "graphql-request";
import { isRefused } from "./refused.js";

/** graphql-request with the access token. A refused request is sent once more, with a new token. */
export function createRequest(url: string, kindred: Client) {
  const client = new GraphQLClient(url);

  return async function request<T>(document: string, variables?: Variables, refused?: string): Promise<T> {
    const token = await kindred.getAccessToken(refused);
    try {
      return await client.request<T>(document, variables, token ? { authorization: `Bearer ${token}` } : {});
    } catch (error) {
      const { status, errors } = error instanceof ClientError ? error.response : {};
      if (!token || refused || !isRefused(status, errors)) throw error;
      return request<T>(document, variables, token);
    }
  };
}
