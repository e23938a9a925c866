// Sends each operation to the API by one POST, with an access token if the page has one.

import { accessToken } from "./access-token.js";
import { fetchSignedIn } from "./account.js";

// Relative to the page, so that it works behind a proxy that serves Kindred under a path prefix.
const ENDPOINT = "graphql";

/** GraphiQL calls this. `fetcherOptions.headers` are the headers of its Headers editor. */
export async function fetcher(operation, fetcherOptions) {
  const headers = new Headers(fetcherOptions?.headers);
  headers.set("accept", "application/json");
  headers.set("content-type", "application/json");
  const token = accessToken.get();
  if (token && !headers.has("authorization")) headers.set("authorization", `Bearer ${token}`);

  let response;
  try {
    const send = headers.has("authorization") ? fetch : fetchSignedIn;
    response = await send(ENDPOINT, { method: "POST", headers, body: JSON.stringify(operation) });
  } catch {
    return failure("The service did not answer. Check that it is running.");
  }
  let result;
  try {
    result = await response.json();
  } catch {
    return failure(`The service answered with HTTP ${response.status} and a body that is not JSON.`);
  }
  rememberToken(result);
  return result; // whatever the status, since a refusal such as 401 or 503 is a GraphQL result too
}

/** Keep the access token from the result of `login` or `refreshToken`, under any alias. */
function rememberToken(result) {
  for (const field of Object.values(result?.data ?? {})) {
    if (typeof field?.tokens?.accessToken === "string") accessToken.set(field.tokens.accessToken);
  }
}

const failure = (message) => ({ errors: [{ message }] });
