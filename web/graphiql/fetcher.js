// How the page talks to the API: one POST for each operation, with the access token that it remembers.

import { fetchSignedIn } from "./account.js";
import { bearer } from "./bearer.js";

// Relative, so that the page also works behind a proxy that serves Kindred under a prefix.
const ENDPOINT = "graphql";

/** What GraphiQL calls. `fetcherOptions.headers` is what stands in its Headers editor. */
export async function fetcher(operation, fetcherOptions) {
  const headers = new Headers(fetcherOptions?.headers);
  headers.set("accept", "application/json");
  headers.set("content-type", "application/json");
  if (bearer.get() && !headers.has("authorization")) headers.set("authorization", `Bearer ${bearer.get()}`);

  let response;
  try {
    const send = headers.has("authorization") ? fetch : fetchSignedIn;
    response = await send(ENDPOINT, { method: "POST", headers, body: JSON.stringify(operation) });
  } catch {
    return failure("No answer came. Is the service running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    return failure(`HTTP ${response.status}, and the answer is not JSON.`);
  }
  rememberTokens(answer);
  return answer; // whatever the status: a refusal, such as 401 or 503, is a GraphQL answer too
}

/** `login` and `refreshToken` answer with tokens, under whatever alias. */
function rememberTokens(answer) {
  for (const result of Object.values(answer?.data ?? {})) {
    if (typeof result?.tokens?.accessToken === "string") bearer.remember(result.tokens.accessToken);
  }
}

const failure = (message) => ({ errors: [{ message }] });
